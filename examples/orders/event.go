package orders

import (
	"encoding/json"
	"fmt"
)

// Placed is the event that other services receive: the body of the message.
type Placed struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Number   int64  `json:"number"` // the customer's first, second, …: events of a customer arrive in this order
	Item     string `json:"item"`
	Cents    int64  `json:"cents"`
}

// DecodePlaced reads the body of a message.
func DecodePlaced(body []byte) (Placed, error) {
	var p Placed
	if err := json.Unmarshal(body, &p); err != nil {
		return Placed{}, fmt.Errorf("decode an order: %w", err)
	}
	return p, nil
}

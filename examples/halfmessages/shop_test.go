package halfmessages

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What happens to orders is tested with the command beside it. Here: a service that cannot start leaves nothing behind.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Config{Database: "postgres://127.0.0.1:1/x"})
	require.ErrorContains(t, err, "transaction markers")
	_, err = Open(t.Context(), Config{Database: "postgres://%%"})
	require.ErrorContains(t, err, "open the database")
}

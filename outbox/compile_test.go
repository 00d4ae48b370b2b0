package outbox_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOnlyTransactionsCompile holds the first promise of the package: there is no way to write past the transaction.
func TestOnlyTransactionsCompile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		program string
		want    string // in the compiler's words; "" = it compiles
	}{
		{"tx", ""},
		{"pool", "*pgxpool.Pool does not implement pgx.Tx"},
		{"conn", "*pgx.Conn does not implement pgx.Tx"},
		{"sqldb", "cannot use db (variable of type *sql.DB) as *sql.Tx value"},
	} {
		t.Run(tt.program, func(t *testing.T) {
			t.Parallel()
			// vet type-checks with what is compiled already and links nothing.
			out, err := exec.CommandContext(t.Context(), "go", "vet", "./testdata/"+tt.program).CombinedOutput()
			if tt.want == "" {
				require.NoError(t, err, string(out))
				return
			}
			require.Error(t, err, string(out))
			require.Contains(t, string(out), tt.want)
		})
	}
	entries, err := os.ReadDir("testdata")
	require.NoError(t, err)
	require.Len(t, entries, 4, "every program in testdata is compiled here")
}

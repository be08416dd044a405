// Verifies X.509-SVIDs with go-spiffe: one line for each chain, "accepted ID" or "refused: why".
//
// Usage: svid-verify TIME DOMAIN CHAIN.pem:ROOTS.pem …
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

func main() {
	now, err := time.Parse(time.RFC3339, os.Args[1])
	if err != nil {
		panic(err)
	}
	domain := spiffeid.RequireTrustDomainFromString(os.Args[2])
	for _, pair := range os.Args[3:] {
		chain, roots, _ := strings.Cut(pair, ":")
		fmt.Println(outcome(now, domain, chain, roots))
	}
}

func outcome(now time.Time, domain spiffeid.TrustDomain, chain, roots string) string {
	bundle, err := x509bundle.Load(domain, roots)
	if err != nil {
		return "refused: roots: " + err.Error()
	}
	data, err := os.ReadFile(chain)
	if err != nil {
		panic(err)
	}
	raw, err := certificates(data)
	if err != nil {
		return "refused: " + err.Error()
	}
	id, _, err := x509svid.ParseAndVerify(raw, bundle, x509svid.WithTime(now))
	if err != nil {
		return "refused: " + err.Error()
	}
	return "accepted " + id.String()
}

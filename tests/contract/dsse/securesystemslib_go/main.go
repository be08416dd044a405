// Verifies DSSE envelopes with go-securesystemslib: main KEY.pem ENVELOPE…
//
// For each envelope it prints one line: what a verifier with the key id of LoadKey finds, and what one
// without a key id finds, as in sigstore's WrapVerifier.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"
)

type unnamed struct{ dsse.Verifier }

func (unnamed) KeyID() (string, error) { return "", nil }

func loaded(path string) (dsse.Verifier, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := signerverifier.LoadKey(data)
	if err != nil {
		return nil, err
	}
	if key.KeyType == signerverifier.ED25519KeyType {
		return signerverifier.NewED25519SignerVerifierFromSSLibKey(key)
	}
	return signerverifier.NewECDSASignerVerifierFromSSLibKey(key)
}

func outcome(verifier dsse.Verifier, path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(data, &envelope); err != nil {
		return err.Error()
	}
	made, err := dsse.NewEnvelopeVerifier(verifier)
	if err != nil {
		return err.Error()
	}
	if _, err := made.Verify(context.Background(), &envelope); err != nil {
		return err.Error()
	}
	return "verified"
}

func main() {
	verifier, err := loaded(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, path := range os.Args[2:] {
		fmt.Printf("%s; %s\n", outcome(verifier, path), outcome(unnamed{verifier}, path))
	}
}

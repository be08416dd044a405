package main

import (
	"encoding/pem"
	"errors"
)

// certificates returns the DER of each certificate in a PEM file, the leaf first.
func certificates(data []byte) ([][]byte, error) {
	var found [][]byte
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		found = append(found, block.Bytes)
	}
	if len(found) == 0 {
		return nil, errors.New("no PEM certificate")
	}
	return found, nil
}

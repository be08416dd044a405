"""What would let a request pass unchecked: each rule, its proof, and any file."""

# METADATA
# title: Several calls at once
# description: >-
#   Each question is decided by `admission.decision` on facts of its own, as if it were asked alone. The gate
#   asks so for calls that wait together.
package admission.batch

# METADATA
# title: The answers to several calls
# description: >-
#   `input.questions` has the facts of each call under its nonce, and so has the result its answer. A
#   question whose decision is undefined has none, which the gate takes for a denial of that call alone.
# entrypoint: true
decisions[nonce] := answer if {
	some nonce, facts in input.questions
	answer := data.admission.decision with input as facts # regal ignore:with-outside-test-context
}

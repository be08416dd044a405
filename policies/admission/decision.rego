# METADATA
# title: Admission
# description: >-
#   The one decision. A call is held to all jurisdictions of its environment, and each can only
#   narrow: `allow` is the absence of every violation from facts that are complete, never the
#   presence of a permission. Every field of the answer is always there, so that a denial can be
#   read; a field that cannot be had is empty, which the caller refuses.
# scope: package
# schemas:
#   - input: schema["facts.schema"]
package admission

import data.lib.violation

# METADATA
# title: The answer to one call
# description: Posted to by the gate at the fixed path v1/data/admission/decision.
# entrypoint: true
decision := {
	"allow": allow,
	"nonce": nonce,
	"revision": revision,
	"violations": sort(violations),
	"warnings": sort(warnings),
	"jurisdictions": jurisdictions,
	"lease_seconds": lease_seconds,
}

default allow := false

allow if {
	well_formed
	count(violations) == 0
	every id in input.environment.jurisdictions {
		jurisdictions[id].allow == true
	}
}

default nonce := ""

nonce := input.nonce if is_string(input.nonce)

default revision := ""

revision := data.revision if is_string(data.revision)

default lease_seconds := 0

lease_seconds := data.params.admission.lease_seconds if positive_integer(data.params.admission.lease_seconds)

positive_integer(value) if {
	is_number(value)
	value > 0
	floor(value) == value
}

# What each jurisdiction says. Only the rules of the ones that are asked for are evaluated.
jurisdictions[id] := {"allow": satisfied(found), "violations": sort(found)} if {
	some id in input.environment.jurisdictions
	is_string(id)
	found := found_by(id)
}

default satisfied(_) := false

satisfied(found) if {
	well_formed
	count(found) == 0
}

found_by(id) := data.jurisdiction[id].deny if known(id)

found_by(id) := {unknown(id)} if not known(id)

# A package counts only if it says that it is this jurisdiction and its `deny` is a set, which data
# cannot be: a document under the same path is no jurisdiction.
known(id) if {
	data.jurisdiction[id].id == id
	is_set(data.jurisdiction[id].deny)
}

violations contains found if some found in jurisdictions[_].violations

warnings contains found if {
	some id in input.environment.jurisdictions
	known(id)
	some found in data.jurisdiction[id].warn
}

# METADATA
# title: A jurisdiction that no policy knows
# custom:
#   code: jurisdiction_unknown
#   citation: docs/policy-authors.md, "How a decision is made"
#   remedy: Add a package for the jurisdiction, or correct the environment declaration.
unknown(id) := violation.about(
	rego.metadata.rule(),
	id,
	id,
	sprintf("no policy for jurisdiction %q is loaded", [id]),
)

# METADATA
# title: The facts are complete
# custom:
#   code: facts_malformed
#   citation: docs/policy-authors.md, "How a decision is made"
#   remedy: Run gate and policies of the same release; this is no fault of the caller.
violations contains violation.about(rego.metadata.rule(), "", part, message) if {
	some part in malformed
	message := sprintf("the facts are incomplete or of the wrong type at %v", [part])
}

# METADATA
# title: The bundle carries a revision
# custom:
#   code: policy_data_missing
#   citation: docs/policy-authors.md, "How a decision is made"
#   remedy: Build the bundle with its revision as data.
violations contains violation.about(rego.metadata.rule(), "", "data.revision", message) if {
	revision == ""
	message := "the policy bundle has no revision"
}

# METADATA
# title: The bundle carries a lease
# custom:
#   code: policy_data_missing
#   citation: docs/policy-authors.md, "How a decision is made"
#   remedy: Set lease_seconds in params/admission/data.json to a positive whole number.
violations contains violation.about(rego.metadata.rule(), "", "data.params.admission.lease_seconds", message) if {
	lease_seconds == 0
	message := "the policy bundle has no lease"
}

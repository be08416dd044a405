# METADATA
# title: Admission
# description: >-
#   The one decision. A call is held to all jurisdictions of its environment and to its sector in
#   each of them, and each can only narrow: `allow` is the absence of every violation from facts that are complete, never the
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
	every answer in jurisdictions {
		answer.allow == true
	}
}

default nonce := ""

nonce := input.nonce if is_string(input.nonce)

default revision := ""

revision := data.revision if is_string(data.revision)

# METADATA
# title: How long the answer may be reused
# description: >-
#   The bundle's time, or the shortest of the packages that say one: each may shorten it, and 0 forbids
#   any reuse. A package that says it in another form forbids it too.
lease_seconds := min({longest_lease} | {seconds |
	some id, _ in held_to
	identified(id)
	seconds := own_lease(id)
})

default longest_lease := 0

longest_lease := seconds if {
	seconds := data.params.admission.lease_seconds
	whole(seconds)
	seconds > 0
}

own_lease(id) := seconds if {
	seconds := data.jurisdiction[id].lease_seconds
	whole(seconds)
} else := 0 if {
	_ := data.jurisdiction[id].lease_seconds
}

whole(value) if {
	is_number(value)
	value >= 0
	floor(value) == value
}

# What each package says: of its jurisdiction, or of the environment's sector in it.
jurisdictions[id] := {"allow": satisfied(found), "violations": sort(found)} if {
	some id, _ in held_to
	found := binding(id)
}

default satisfied(_) := false

satisfied(found) if {
	well_formed
	count(found) == 0
}

# A violation denies unless it is plainly marked as one that does not, is waived, or is about what the
# sandbox is there to bring about. What is not even an object denies too.
binding(id) := {found |
	some [where, found] in reported
	where == id
	not postponed(found)
	not of_activation(found)
	not excused(id, found)
}

# In the sandbox a model has no results and no approvals yet, so no rule about these can hold.
of_activation(found) if {
	input.request.sandbox == true
	some prefix in {"adaptations[].suites", "adaptations[].approvals"}
	startswith(found.term, prefix)
}

postponed(found) if found.state in {"pending", "shadow"}

violations contains found if {
	some answer in jurisdictions
	some found in answer.violations
}

warnings contains object.union(found, {"state": "advisory"}) if {
	well_formed
	some id, _ in held_to
	known(id)
	some found in data.jurisdiction[id].warn
}

warnings contains found if {
	some [_, found] in reported
	postponed(found)
}

warnings contains object.union(found, {"state": "pending"}) if {
	some [_, found] in reported
	of_activation(found)
}

warnings contains found if some found in waived

warnings contains found if some found in ending

# METADATA
# title: The facts are complete
# description: >-
#   Every field is there and of its type. A gate and policies of the same release agree on the fields; of
#   different ones they may not, and then nothing is concluded from what is there.
# custom:
#   code: facts_malformed
#   citation: docs/policy-authors.md, "How a decision is made"
#   remedy: Run gate and policies of the same release; this is no fault of the caller.
#   term: input
violations contains violation.about(rego.metadata.rule(), "", part, message) if {
	some part in malformed
	message := sprintf("the facts are incomplete or of the wrong type at %v", [part])
}

# METADATA
# title: The bundle carries what an answer needs
# description: >-
#   A revision, which the gate compares with the one it expects, and a lease. An answer without a revision
#   is refused by the gate before anybody reads why.
# custom:
#   code: policy_data_missing
#   citation: docs/policy-authors.md, "How a decision is made"
#   remedy: Build the bundle with its revision; set lease_seconds to a positive whole number.
#   term: data
violations contains violation.about(rego.metadata.rule(), "", subject, message) if some subject, message in lacking

lacking["data.revision"] := "the policy bundle has no revision" if revision == ""

lacking["data.params.admission.lease_seconds"] := "the policy bundle has no lease" if longest_lease == 0

package admission

import data.lib.violation

# A call is held to every jurisdiction of its environment and, in each, to the package of its sector
# where there is one. The map from sectors to packages is data of the jurisdiction; a sector that it
# does not name is denied, for nobody has looked at what the jurisdiction asks of it.

# Each package the call is held to, with the jurisdictions on whose behalf.
held_to[jurisdiction] contains jurisdiction if {
	some jurisdiction in input.environment.jurisdictions
	is_string(jurisdiction)
}

held_to[id] contains jurisdiction if {
	some jurisdiction in input.environment.jurisdictions
	id := data.params[jurisdiction].sectors[input.environment.sector]
	is_string(id)
}

# Every violation with the package it counts against, whatever comes of it. Only packages that are
# asked for are evaluated, and only on facts that are complete: a rule may trust the type of every
# field.
reported contains [id, found] if {
	well_formed
	some id, _ in held_to
	known(id)
	some found in data.jurisdiction[id].deny
}

reported contains [id, unknown(id)] if {
	well_formed
	some id, _ in held_to
	not known(id)
}

reported contains [id, unknown(id)] if {
	not well_formed
	some id, _ in held_to
	not identified(id)
}

reported contains [jurisdiction, sector_unknown(jurisdiction)] if {
	well_formed
	some jurisdiction in input.environment.jurisdictions
	known(jurisdiction)
	not sector_known(jurisdiction)
}

# A package counts only if it says that it is this jurisdiction and its `deny` is a set, which data
# cannot be: a document under the same path is no jurisdiction.
known(id) if {
	identified(id)
	is_set(data.jurisdiction[id].deny)
}

identified(id) if data.jurisdiction[id].id == id

sector_known(jurisdiction) if null_or_named(data.params[jurisdiction].sectors[input.environment.sector])

# METADATA
# title: Every jurisdiction has a policy
# description: >-
#   The call is held to all jurisdictions of its environment, so each must be the id of a package that is
#   loaded. The same holds for the package of a sector.
# custom:
#   code: jurisdiction_unknown
#   citation: docs/policy-authors.md, "How a decision is made"
#   remedy: Add a package for the jurisdiction, or correct the environment declaration.
#   term: environment.jurisdictions
unknown(id) := violation.about(
	rego.metadata.rule(),
	id,
	id,
	sprintf("no policy for jurisdiction %q is loaded", [id]),
)

# METADATA
# title: Every jurisdiction knows the sector
# description: >-
#   The data of each jurisdiction says what the environment's sector leads to. Where it says nothing, nobody
#   has looked at what the jurisdiction asks there.
# custom:
#   code: sector_unknown
#   citation: docs/policy-authors.md, "Sectors"
#   remedy: Name the sector in the jurisdiction's data, with its package or null, or correct the environment declaration.
#   term: environment.sector
sector_unknown(id) := violation.about(
	rego.metadata.rule(),
	id,
	input.environment.id,
	sprintf("jurisdiction %q does not know the sector %q", [id, input.environment.sector]),
)

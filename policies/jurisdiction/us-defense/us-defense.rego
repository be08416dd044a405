# METADATA
# title: United States, defense
# description: >-
#   What is asked of a model called by or for the Department of Defense, beside the rules of `us`, as
#   far as signed evidence can show it. Classified information, and any exception, is left to people. That
#   the rules hold is not compliance with what they cite.
# schemas:
#   - input: schema["facts.schema"]
#   - data.params["us-defense"]: schema["params.us-defense.schema"]
package jurisdiction["us-defense"]

import data.lib.facts
import data.lib.violation
import data.params["us-defense"] as params

# The department also goes by the name Department of War (EO 14347 of 5 September 2025). Its strategy for AI
# of 9 January 2026 asks for speed and for models free of usage limits beyond the law. That it ended the
# directive or the principles cited here could not be confirmed; the directive itself asks for consistency
# with the principles.

# METADATA
# title: The name under which the sector's rules answer
id := "us-defense"

# METADATA
# title: A function in a weapon system was reviewed
# description: >-
#   The customer declares `weapon-function` as no, or declares `autonomy-review`, the reference of the
#   senior review or of the finding that none is needed, and `human-judgment`: how commanders and operators
#   exercise judgment over the use of force. Whether they can is left to people.
# custom:
#   code: us-defense.autonomy_review
#   citation: DoD Directive 3000.09 (25 January 2023), paragraph 1.2 and section 4
#   remedy: Declare weapon-function as no, or declare autonomy-review and human-judgment for the environment.
#   term: environment.declarations
#   effective_on: "2023-01-25"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not autonomy_reviewed
	message := "a function in a weapon system may be served without review and human judgment declared"
}

autonomy_reviewed if facts.environment_says("weapon-function", params.denials)

autonomy_reviewed if {
	facts.environment_declares("autonomy-review", params.undeclared)
	facts.environment_declares("human-judgment", params.undeclared)
}

# METADATA
# title: The AI ethical principles were assessed
# description: >-
#   Every adaptation binds a document of the kind responsible-ai-assessment by its digest. Whether the
#   model is responsible, equitable, traceable, reliable and governable is left to people.
# custom:
#   code: us-defense.responsible_ai
#   citation: DoD AI Ethical Principles (24 February 2020); DoD Directive 3000.09, paragraph 1.2
#   remedy: Bind the job with its responsible-ai-assessment.
#   term: adaptations[].documents
#   effective_on: "2020-02-24"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not principles_assessed(i)
	message := "no assessment against the AI ethical principles is bound to the adaptation"
}

principles_assessed(i) if facts.documented(i, "responsible-ai-assessment")

# METADATA
# title: Export-controlled corpora carry an authorization
# description: >-
#   Every corpus declares its classes and none is export-controlled, or the producer declares
#   `export-authorization`: the licence, agreement or exemption under which the data was used. Whether it
#   covers provider, persons and places is left to people. The controls are older than the date, from
#   which the ITAR has been numbered as it is now.
# custom:
#   code: us-defense.export_controlled_corpora
#   citation: ITAR, 22 CFR parts 120 to 130; EAR, 15 CFR parts 730 to 774
#   remedy: Declare the classes of every corpus; for export-controlled ones declare export-authorization.
#   term: adaptations[].corpora[].classes
#   effective_on: "2022-09-01"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not export_authorized(i)
	message := "a corpus is or may be export-controlled and no authorization is declared"
}

export_authorized(i) if facts.free_of(i, params.export_controlled)

export_authorized(i) if facts.adaptation_declares(i, "export-authorization", params.undeclared)

# METADATA
# title: The environment is cleared
# description: >-
#   The customer declares `impact-level`, one of those on the list. That the environment was authorised at
#   that level, and that the level suits the data, is left to people; so is which edition of the guide
#   and of the clause a contract is under.
# custom:
#   code: us-defense.cleared_environment
#   citation: DFARS 239.7602-1 and 252.239-7010; DoD Cloud Computing Security Requirements Guide
#   remedy: Run in an environment authorised at a listed impact level and declare impact-level.
#   term: environment.declarations
#   effective_on: "2015-08-26"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not cleared
	message := "the environment declares no impact level, or one that is not listed"
}

cleared if facts.environment_says("impact-level", params.impact_levels)

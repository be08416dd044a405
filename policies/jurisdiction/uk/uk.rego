# METADATA
# title: United Kingdom
# description: >-
#   Necessary conditions drawn from UK data protection law, as far as the signed evidence of an
#   adaptation can show them. That they hold is not compliance with it.
# schemas:
#   - input: schema["facts.schema"]
#   - data.params.uk: schema["params.uk.schema"]
package jurisdiction.uk

import data.lib.facts
import data.lib.violation
import data.params.uk as params

# METADATA
# title: The name under which an environment asks for this jurisdiction
id := "uk"

# METADATA
# title: Significant decisions have a person to turn to
# description: >-
#   The customer declares `automated-decisions` as none, or declares `human-intervention`: who a person turns to
#   in order to contest a significant decision. Whether involvement is meaningful is left to people.
# custom:
#   code: uk.art22c_human_intervention
#   citation: UK GDPR, Articles 22A to 22C (Data (Use and Access) Act 2025, section 80)
#   remedy: Declare automated-decisions as none, or declare human-intervention for the environment.
#   term: environment.declarations
#   effective_on: "2026-02-05"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not contestable
	message := "the environment declares nobody to whom a significant decision can be taken"
}

contestable if facts.environment_says("automated-decisions", ["none"])

contestable if facts.environment_declares("human-intervention", params.undeclared)

# METADATA
# title: Training on personal data was assessed
# description: >-
#   Every corpus declares its classes and none is personal data, or the manifest binds a data protection
#   impact assessment by its digest. Whether one was needed, and whether it is sound, is left to people.
# custom:
#   code: uk.art35_impact_assessment
#   citation: UK GDPR, Article 35(1)
#   remedy: Declare the classes of every corpus; for personal data bind a data-protection-impact-assessment.
#   term: adaptations[].corpora[].classes
#   effective_on: "2021-01-01"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not assessed(i)
	message := "a corpus is or may be personal data and no impact assessment is bound"
}

assessed(i) if facts.free_of(i, params.personal_data)

assessed(i) if facts.documented(i, "data-protection-impact-assessment")

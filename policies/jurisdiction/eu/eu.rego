# METADATA
# title: European Union
# description: >-
#   Necessary conditions drawn from Regulation (EU) 2024/1689 (the AI Act), as far as the signed
#   evidence of an adaptation can show them. That they hold is not compliance with the Act. Duties that no
#   such evidence shows are left to people altogether, among them risk and quality management (Articles 9
#   and 17), fundamental rights impact assessment (27), registration (49), transparency towards people
#   (50) and monitoring and incidents (72 and 73).
# schemas:
#   - input: schema["facts.schema"]
#   - data.params.eu: schema["params.eu.schema"]
package jurisdiction.eu

import data.lib.facts
import data.lib.violation
import data.params.eu as params

# Dates of application (Article 113):
#
# * 2 February 2025: prohibited practices. 2 August 2025: general-purpose models. 2 August 2026: the
#   Act in general.
# * Regulation (EU) 2026/1744 of 8 July 2026 (the Digital Omnibus on AI; OJ L, 2026/1744, 24.7.2026, in
#   force since 27 July 2026) moves sections 1 to 3 of Chapter III (Articles 6 to 27, but for Article
#   6(5)) to 2 December 2027 for high-risk systems of Annex III and to 2 August 2028 for products of Annex
#   I, and adds two prohibited practices from 2 December 2026. The facts do not say which annex makes a use
#   high-risk; the rules take the earlier date. Section 5 (conformity assessment) has applied since 2
#   August 2026, but binds only what Article 6 makes high-risk, so its rules take that date too. The text
#   of the Official Journal was not at hand: number, dates and new points are as several who read it
#   report them in agreement.
# * Until its date a rule warns. Whoever wants to be held to it before lists its code in `enforce_early`
#   of the data of `admission`.
# * Models that were on the market before 2 August 2025 have until 2 August 2027 (Article 111(3)), and
#   high-risk systems that were so before their date are bound from a significant change of design on
#   (Article 111(2)). The facts do not say when anything came to the market, and an adaptation is newer
#   than what it adapts; who relies on either asks the regulator for a waiver.
#
# Uses for military, defence or national security purposes only are outside the Act (Article 2(3));
# so no package is kept for the sector defense. So is research and development before anything is put
# into service (Article 2(8)): no rule here asks of a base model, because it is tuned, what the Act
# asks of a system in use.

# METADATA
# title: The name under which an environment asks for this jurisdiction
id := "eu"

# METADATA
# title: The declared purpose is no prohibited practice
# description: >-
#   Compares the purpose that the customer signed with a list of names for the practices of Article
#   5(1)(a) to (h); one that says nothing cannot be compared. The rule cannot see behind a purpose that
#   is declared untruthfully, and leaves the exceptions of Article 5 to people: who relies on one asks
#   the regulator for a waiver.
# custom:
#   code: eu.art5_prohibited_practice
#   citation: Regulation (EU) 2024/1689, Article 5(1)
#   remedy: Do not use a model for this purpose; declare the true purpose of the environment.
#   term: environment.purpose
#   effective_on: "2025-02-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not purpose_permitted
	message := sprintf("the declared purpose %q is prohibited, or is not declared", [input.environment.purpose])
}

purpose_permitted if {
	facts.declared(input.environment.purpose, params.undeclared)
	facts.declared(input.environment.purpose, params.prohibited_purposes)
}

# METADATA
# title: The declared purpose is no intimate or abusive imagery
# description: >-
#   Compares the purpose with a list of names for the practices added in 2026: intimate imagery of people
#   who did not consent, and child sexual abuse material. Whether a system made for something else could
#   foreseeably produce it and lacks the safeguards of Article 5(1a) is left to people.
# custom:
#   code: eu.art5_intimate_imagery
#   citation: Regulation (EU) 2024/1689, Article 5(1)(ba) and (bb), added by Regulation (EU) 2026/1744
#   remedy: Do not use a model for this purpose; declare the true purpose of the environment.
#   term: environment.purpose
#   effective_on: "2026-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not imagery_permitted
	message := sprintf("the declared purpose %q is prohibited, or is not declared", [input.environment.purpose])
}

imagery_permitted if facts.declared(input.environment.purpose, params.intimate_imagery_purposes)

# METADATA
# title: The use has a known risk class
# description: >-
#   The customer declares `high`, or a class on the list of those below it. Which class a use belongs to
#   under Article 6 and Annex III is for the customer to determine. Every class that is not below
#   high is held to the rules for high-risk use.
# custom:
#   code: eu.art6_risk_class
#   citation: Regulation (EU) 2024/1689, Article 6(1) to (3)
#   remedy: Declare one of the known risk classes.
#   term: environment.risk_class
#   effective_on: "2027-12-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not classed
	message := sprintf("the risk class %q is not known", [input.environment.risk_class])
}

classed if input.environment.risk_class == "high"

classed if below_high_risk

below_high_risk if {
	is_array(params.risk_classes_below_high)
	input.environment.risk_class in params.risk_classes_below_high
}

# METADATA
# title: Modifying a general-purpose model is owned up to
# description: >-
#   The producer declares `gpai-modification`: `minor`, or `significant`, which makes the modifier a
#   provider of a general-purpose model as far as the modification goes. The Commission's guidelines
#   of July 2025 take more than a third of the original training compute as indication; the rule does
#   not reckon, it asks for the declaration.
# custom:
#   code: eu.art53_modification_declared
#   citation: Regulation (EU) 2024/1689, Article 53(1) and recital 109
#   remedy: Declare gpai-modification as minor or significant when binding the job.
#   term: adaptations[].declarations
#   effective_on: "2025-08-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not modification_declared(i)
	message := "the producer does not declare how far the general-purpose model was modified"
}

modification_declared(i) if facts.adaptation_says(i, "gpai-modification", params.modifications)

# METADATA
# title: A significant modification carries its provider's papers
# description: >-
#   Unless the modification is declared minor, three documents are bound by digest: technical
#   documentation, a copyright policy and a summary of the training content, each limited to the
#   modification. What they say is left to people, and so are the information owed to those who build on
#   the model (point (b)) and the exception for free and open-source models (Article 53(2)): who relies
#   on it asks the regulator for a waiver.
# custom:
#   code: eu.art53_modifier_duties
#   citation: Regulation (EU) 2024/1689, Article 53(1)(a), (c) and (d), and recital 109
#   remedy: Bind the documents technical-documentation, copyright-policy and training-content-summary.
#   term: adaptations[].documents
#   effective_on: "2025-08-02"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not modifier_duties_shown(i)
	message := "a significant modification lacks technical documentation, copyright policy or content summary"
}

modifier_duties_shown(i) if facts.adaptation_says(i, "gpai-modification", params.modifications_below_significant)

modifier_duties_shown(i) if {
	facts.documented(i, "technical-documentation")
	facts.documented(i, "copyright-policy")
	facts.documented(i, "training-content-summary")
}

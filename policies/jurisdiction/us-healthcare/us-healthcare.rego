# METADATA
# title: United States, healthcare
# description: >-
#   What HIPAA and the law on medical devices ask of a model called in healthcare, beside the rules of
#   `us`, as far as signed evidence can show it. That the rules hold is not compliance.
# schemas:
#   - input: schema["facts.schema"]
#   - data.params["us-healthcare"]: schema["params.us-healthcare.schema"]
package jurisdiction["us-healthcare"]

import data.lib.facts
import data.lib.violation
import data.params["us-healthcare"] as params

# Protected health information is in play unless the customer declares that it is not (`phi`: no) and every
# corpus declares its classes and none of them is such information.

# METADATA
# title: The name under which the sector's rules answer
id := "us-healthcare"

free_of_health_information if {
	facts.environment_says("phi", params.denials)
	every i, _ in input.adaptations {
		facts.free_of(i, params.health_information)
	}
}

# METADATA
# title: The provider is a business associate
# description: >-
#   Where protected health information is in play, the customer declares
#   `business-associate-agreement`: a reference to the contract with the model's provider. What it
#   provides, and whether the provider is a business associate at all, is left to people.
# custom:
#   code: us-healthcare.hipaa_business_associate
#   citation: 45 CFR 164.502(e), 164.504(e) and, for electronic information, 164.308(b)
#   remedy: Conclude the agreement and declare business-associate-agreement, or declare phi as no.
#   term: environment.declarations
#   effective_on: "2003-04-14"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not disclosure_covered
	message := "health information may be in play and no business associate agreement is declared"
}

disclosure_covered if free_of_health_information

disclosure_covered if facts.environment_declares("business-associate-agreement", params.undeclared)

# METADATA
# title: Health information is the minimum necessary for a permitted purpose
# description: >-
#   Where protected health information is in play, the customer declares `phi-purpose`, one of the
#   purposes on the list, and every corpus that may hold such information carries a class that says it was
#   reduced to what is necessary. Whether it was, and whether an exception of 164.502(b)(2) applies (such
#   as for treatment), is left to people; so is the agreement that a limited data set needs.
# custom:
#   code: us-healthcare.hipaa_minimum_necessary
#   citation: 45 CFR 164.502(b), 164.506(c), 164.512 and 164.514(d) and (e)
#   remedy: Declare phi-purpose; reduce the corpora and declare the class minimum-necessary or limited-data-set.
#   term: adaptations[].corpora[].classes
#   effective_on: "2003-04-14"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not necessary_only
	message := "health information may be in play without a permitted purpose, or a corpus is not reduced to it"
}

necessary_only if free_of_health_information

necessary_only if {
	facts.environment_says("phi-purpose", params.permitted_purposes)
	every i, _ in input.adaptations {
		minimised(i)
	}
}

minimised(i) if {
	every j, _ in input.adaptations[i].corpora {
		reduced(i, j)
	}
}

reduced(i, j) if facts.corpus_free_of(i, j, params.health_information)

reduced(i, j) if {
	some class in input.adaptations[i].corpora[j].classes
	facts.listed(class, params.minimised)
}

# METADATA
# title: A tuned device function stays inside its change control plan
# description: >-
#   Unless the customer declares `device-function` as no, every adaptation binds the authorised
#   predetermined change control plan by its digest, or declares `marketing-submission`, the
#   submission under which the change was made. Whether the change keeps to the plan, and whether it is
#   one that needs plan or submission at all, is left to people. The guidance of the FDA on such plans
#   (final of 4 December 2024, reissued on 18 August 2025) is not binding.
# custom:
#   code: us-healthcare.fda_change_control_plan
#   citation: Federal Food, Drug, and Cosmetic Act, section 515C (21 U.S.C. 360e-4)
#   remedy: Bind the predetermined-change-control-plan, declare marketing-submission, or declare device-function as no.
#   term: adaptations[].documents
#   effective_on: "2022-12-29"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, message) if {
	some i, adaptation in input.adaptations
	not change_controlled(i)
	message := "a device function may be changed without a predetermined change control plan or a submission"
}

change_controlled(_) if facts.environment_says("device-function", params.denials)

change_controlled(i) if facts.documented(i, "predetermined-change-control-plan")

change_controlled(i) if facts.adaptation_declares(i, "marketing-submission", params.undeclared)

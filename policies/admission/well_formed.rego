package admission

import data.lib.dates

# Facts are checked field by field before anything is concluded from them. A missing field makes a
# condition undefined, and a jurisdiction that iterates over nothing finds nothing; both would read
# as consent. The lists name every field of the facts.
#
# `not` stands before a helper only, never before an expression that reads input or data itself: OPA
# evaluates the arguments first, and an undefined argument would leave the rule without a result.

well_formed if count(malformed) == 0

malformed contains "request" if not request_complete

malformed contains "environment" if not environment_complete

malformed contains "adaptations" if not adaptations_complete

malformed contains "now" if not dates.now

malformed contains "nonce" if not nonce_complete

nonce_complete if named(input.nonce)

request_complete if {
	named(input.request.provider)
	named(input.request.operation)
	all_named(input.request.models)
	count(input.request.models) > 0
	is_boolean(input.request.stream)
	all_named(input.request.modalities)
	all_named(input.request.tool_types)
}

environment_complete if {
	named(input.environment.id)
	named(input.environment.trust_domain)
	all_named(input.environment.jurisdictions)
	count(input.environment.jurisdictions) > 0
	is_string(input.environment.sector)
	is_string(input.environment.purpose)
	is_string(input.environment.risk_class)
	is_string(input.environment.owner)
	named(input.environment.credential.kind)
	dates.ns(input.environment.credential.expires)
}

adaptations_complete if {
	is_array(input.adaptations)
	every i, adaptation in input.adaptations {
		named(adaptation.model)
		named(adaptation.base)
		null_or_named(adaptation.parent)
		named(adaptation.manifest)
		named(adaptation.producer)
		named(adaptation.method)
		is_object(adaptation.hyperparameters)
		dates.ns(adaptation.window.not_before)
		dates.ns(adaptation.window.not_after)
		training_complete(i)
		suites_complete(i)
		approvals_complete(i)
	}
}

training_complete(i) if {
	is_array(input.adaptations[i].corpora)
	every corpus in input.adaptations[i].corpora {
		named(corpus.role)
		named(corpus.name)
		named(corpus.digest)
		is_number(corpus.bytes)
		is_number(corpus.records)
	}
	is_array(input.adaptations[i].evaluations)
	every evaluation in input.adaptations[i].evaluations {
		named(evaluation.name)
		named(evaluation.digest)
		is_object(evaluation.metrics)
	}
}

suites_complete(i) if {
	is_array(input.adaptations[i].suites)
	every suite in input.adaptations[i].suites {
		named(suite.kind)
		null_or_named(suite.jurisdiction)
		named(suite.name)
		is_number(suite.threshold)
		is_number(suite.score)
		named(suite.evaluator)
		dates.ns(suite.performed)
	}
}

approvals_complete(i) if {
	is_array(input.adaptations[i].approvals)
	every approval in input.adaptations[i].approvals {
		named(approval.role)
		named(approval.authority)
		is_boolean(approval.of_record)
		all_named(approval.jurisdictions)
		all_named(approval.conditions)
		dates.ns(approval.not_after)
	}
}

named(value) if {
	is_string(value)
	value != ""
}

null_or_named(value) if is_null(value)

null_or_named(value) if named(value)

all_named(values) if {
	is_array(values)
	every value in values {
		named(value)
	}
}

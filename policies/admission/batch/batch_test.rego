package admission.batch_test

import data.admission.batch
import data.lib.fixtures_test as fixtures

refused := fixtures.undeclared("ict-register-reference")

asked(questions) := answers if {
	answers := batch.decisions with input as {"questions": questions} with data.revision as "r-1"
}

decided(facts) := answer if answer := data.admission.decision with input as facts with data.revision as "r-1"

test_each_question_has_the_decision_that_it_would_have_alone if {
	answers := asked({"a": fixtures.facts, "b": refused})
	answers == {"a": decided(fixtures.facts), "b": decided(refused)}
	answers.a.allow == true
	answers.b.allow == false
}

test_no_question_has_no_answer if {
	asked({}) == {}
	batch.decisions == {} with input as {}
}

test_facts_that_are_none_deny_their_own_question_alone if {
	answers := asked({"a": fixtures.facts, "b": null})
	answers.a.allow == true
	answers.b.allow == false
}

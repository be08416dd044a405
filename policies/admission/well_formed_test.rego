package admission_test

import data.admission
import data.lib.fixtures_test as fixtures

malformed(facts) := part if {
	part := admission.malformed with input as facts
}

test_complete_facts_are_well_formed if malformed(fixtures.facts) == set()

test_a_parent_and_a_suites_jurisdiction_may_be_null_or_a_name if {
	malformed(fixtures.set("/adaptations/0/parent", "ft:earlier")) == set()
	malformed(fixtures.set("/adaptations/0/parent", "")) == {"adaptations"}
	malformed(fixtures.set("/adaptations/0/suites/0/jurisdiction", 7)) == {"adaptations"}
}

test_each_part_is_named if {
	malformed(fixtures.set("/request/models", [])) == {"request"}
	malformed(fixtures.set("/environment/owner", null)) == {"environment"}
	malformed(fixtures.set("/adaptations/0/corpora", null)) == {"adaptations"}
	malformed(fixtures.set("/now", "today")) == {"now"}
	malformed(fixtures.set("/nonce", "")) == {"nonce"}
	malformed(fixtures.set("/waivers", {})) == {"waivers"}
}

test_declarations_are_texts_by_name if {
	malformed(fixtures.declaring("phi", 7)) == {"environment"}
	malformed(fixtures.set("/adaptations/0/declarations", [])) == {"adaptations"}
	malformed(fixtures.set("/adaptations/0/approvals/0/declarations", null)) == {"adaptations"}
}

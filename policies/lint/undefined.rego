package lint

# What may be undefined, and would then keep a rule from denying without anybody noticing.

# ---- What stands after `not` ----------------------------------------------------------------------

# OPA evaluates the arguments of a negated call before the call: where one is undefined, the whole
# rule is, and a `deny` that was to fire on missing data never does.
found contains [file, object.get(expression, ["location", "row"], 1), "", message] if {
	message := "after not only a helper with plain names or literals as arguments"
	some file, module in input.modules
	not aside(file)
	some rule in module.rules
	walk(rule, [_, expression])
	expression.negated == true
	not plainly_negated(expression.terms, of_rules(module))
}

# The names of rules and imports mean what is somewhere else, and that may be undefined.
of_rules(module) := {rule.head.name |
	some other in input.modules
	package_of(other) == package_of(module)
	some rule in other.rules
} | {name | some imported in module.imports; name := imported_as(imported)}

imported_as(imported) := object.get(imported, "alias", path[count(path) - 1].value) if {
	path := imported.path.value
}

plainly_negated(terms, _) if terms.type == "var"

plainly_negated(terms, elsewhere) if {
	terms.type == "ref"
	operator := [part.value | some part in terms.value]
	not compares(operator)
	every part in array.slice(terms.value, 1, count(terms.value)) {
		plain_argument(part, elsewhere)
	}
}

plainly_negated(terms, elsewhere) if {
	is_array(terms)
	operator := [part.value | some part in terms[0].value]
	not compares(operator)
	every argument in array.slice(terms, 1, count(terms)) {
		plain_argument(argument, elsewhere)
	}
}

plain_argument(argument, _) if argument.type in {"string", "number", "boolean", "null"}

plain_argument(argument, elsewhere) if {
	argument.type == "var"
	names := {argument.value}
	count(names & elsewhere) == 0
}

# What OPA makes of `in`, `==` and the like, and a call below input or data.
compares(operator) if operator[0] in {"internal", "input", "data", "params"}

compares(operator) if operator in [["eq"], ["neq"], ["lt"], ["lte"], ["gt"], ["gte"], ["equal"]]

# What is not there must not make a helper hold: `good if not bad` would hold of what nobody declared.
found contains [file, object.get(expression, ["location", "row"], 1), "", message] if {
	some file, module in input.modules
	jurisdiction(module)
	some rule in module.rules
	not rule.head.name in {"deny", "warn"}
	walk(rule, [_, expression])
	expression.negated == true
	message := "not stands in deny and warn only: a helper shows what holds, not what does not"
}

# ---- What may stand in a rule that denies -----------------------------------------------------------

# A value that is missing keeps a rule from denying as surely as a condition that does not hold. So a rule
# that denies is made of `some … in` the facts, `not` a helper, and the words of what was found; and what
# these read is there in every call.
denials contains one if {
	some one in rules
	one.rule.head.name == "deny"
}

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in denials
	not denies_absence(one.rule)
	message := "write a helper that holds when all is well, and deny if not helper: what is missing would pass"
}

found contains [one.file, object.get(expression, ["location", "row"], 1), code_of(one.rule), message] if {
	some one in denials
	some expression in one.rule.body
	not firm(expression, named_in(one.rule))
	message := "a rule that denies holds only: some … in the facts, not helper, message := text of what is in every call's facts"
}

found contains [one.file, row_of(one.rule), code_of(one.rule), message] if {
	some one in denials
	made_from_metadata(one.rule)
	some word in array.slice(one.rule.head.key.value, 2, count(one.rule.head.key.value))
	not sure(word, named_in(one.rule))
	message := "subject and message must be in every call's facts: where one is missing, the rule does not deny"
}

denies_absence(rule) if {
	some expression in rule.body
	expression.negated == true
}

# The names that `some … in` and `:=` give in the body of a rule.
named_in(rule) := {node.value |
	some expression in rule.body
	some symbol in expression.terms.symbols
	given := array.slice(symbol.value, 1, count(symbol.value) - 1)
	walk(given, [_, node])
	node.type == "var"
} | {expression.terms[1].value |
	some expression in rule.body
	assigns(expression)
}

assigns(expression) if called(expression.terms[0], ["assign"])

firm(expression, _) if expression.negated == true

firm(expression, names) if {
	assigns(expression)
	sure(expression.terms[2], names)
}

firm(expression, names) if {
	symbols := expression.terms.symbols
	every symbol in symbols {
		symbol.type == "call"
		sure(symbol.value[count(symbol.value) - 1], names)
	}
}

sure(term, names) if count(shaky(term, names)) == 0

shaky(term, names) := {node |
	walk(term, [_, node])
	node.type
	not steady(node, names)
}

steady(node, _) if node.type in {"string", "number", "boolean", "null", "array"}

steady(node, names) if {
	node.type == "var"
	node.value in (names | {"input", "sprintf"})
}

steady(node, _) if {
	node.type == "call"
	called(node.value[0], ["sprintf"])
}

# What is below one of the maps whose keys the signers choose is not in every call's facts.
steady(node, _) if {
	node.type == "ref"
	every part in node.value {
		part.type in {"var", "string"}
	}
	inner := {part.value | some part in array.slice(node.value, 0, count(node.value) - 1)}
	count(inner & {"declarations", "hyperparameters", "metrics"}) == 0
}

# A package of a jurisdiction is asked for `deny` and `warn` alone: what it allows is never read.
found contains [file, row_of(rule), "", message] if {
	some file, module in input.modules
	jurisdiction(module)
	some rule in module.rules
	rule.head.name == "allow"
	message := "a rule called allow is never asked, for a jurisdiction can only deny: write deny … if not helper"
}

# ---- What would excuse a package from its own rules -------------------------------------------------

found contains [file, row_of(rule), "", "a default is false: what is not shown does not hold"] if {
	some file, module in input.modules
	jurisdiction(module)
	some rule in module.rules
	rule["default"] == true
	rule.head.value.value != false
}

# Only the entry point for several calls gives each of them to the decision as its input.
found contains [file, object.get(expression, ["location", "row"], 1), "", "with belongs in tests: a rule reads the facts as they are"] if {
	some file, module in input.modules
	not aside(file)
	package_of(module) != ["admission", "batch"]
	walk(module.rules, [_, expression])
	expression["with"]
}

# Tests and the lint itself decide no call.
aside(file) if endswith(file, "_test.rego")

aside(file) if startswith(file, "lint/")

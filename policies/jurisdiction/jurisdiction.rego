# METADATA
# title: Jurisdictions
# description: >-
#   One package per jurisdiction lives below this one. A package is a jurisdiction if its rule `id`
#   equals its own name and it has a set `deny`. It may have a set `warn`. The schema declared here
#   reaches every one of them, so that a field the facts do not have is an error of `opa check`.
# scope: subpackages
# schemas:
#   - input: schema["facts.schema"]
package jurisdiction

"""How views write a concept; files keep the name as it is scored. `kit/concept_names.js` too."""


def concept_name(concept: str, category: str) -> str:
    """A concept in words, from its scored name and its category.

    Examples
    --------
    >>> concept_name("Domain_any", "Domain"), concept_name("Metal binding_Zinc", "Metal binding")
    ('Domain, any kind', 'Metal binding: Zinc')
    >>> concept_name("Helix", "Helix")
    'Helix'
    """
    kind = concept.removeprefix(f"{category}_")
    if kind == concept:
        return concept
    return f"{category}, any kind" if kind == "any" else f"{category}: {kind}"

// @ts-check
// How views write a concept; files keep the name as it is scored. `concept_names.py` too.

/** @param {string} concept as it is scored @param {string} category */
export function conceptName(concept, category) {
  if (!concept.startsWith(`${category}_`)) return concept;
  const kind = concept.slice(category.length + 1);
  return kind === "any" ? `${category}, any kind` : `${category}: ${kind}`;
}

/** What a pointer on that name says. @param {string} concept @param {string} category */
export function conceptHint(concept, category) {
  const name = conceptName(concept, category);
  if (concept !== `${category}_any`) return name === concept ? name : `${name}; ${concept} in files`;
  return `${name}: every annotated residue of category ${category}, whatever it is called; ${concept} in files`;
}

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
  if (name === concept) return name;
  const all = `: every annotated residue of category ${category}, under any name`;
  return `${name}${concept === `${category}_any` ? all : ""}; ${concept} in files`;
}

// @ts-check
// Links out, of accessions alone that are shaped as UniProt says: anything else from a file makes
// no address.

// https://www.uniprot.org/help/accession_numbers
const ACCESSION = /^(?:[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})$/;

const PLACES = [
  ["UniProt", "https://www.uniprot.org/uniprotkb/", "/entry"],
  ["AlphaFold DB", "https://alphafold.ebi.ac.uk/entry/", ""],
  ["InterPro", "https://www.ebi.ac.uk/interpro/protein/UniProt/", "/"],
];

/** @param {string} accession @returns {{ text: string, title: string, href: string }[]} */
export function linksOf(accession) {
  if (!ACCESSION.test(accession)) return [];
  return PLACES.map(([name, before, after]) => ({
    text: `${accession} in ${name}`,
    title: `Leaves this page: ${new URL(before).host}, in a new tab`,
    href: `${before}${accession}${after}`,
  }));
}

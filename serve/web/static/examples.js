"use strict";
// Inks of formulas that people know, to try without writing.

// examples: a promise of them. onChoose: called with the example that was chosen.
async function offerExamples(find, { examples: promise, onChoose }) {
  const examples = await promise.catch(() => []); // the page is of use without them
  find("examples").replaceChildren(
    ...examples.map((example) => {
      const { name, strokes } = example;
      const button = document.createElement("button");
      button.title = name;
      button.setAttribute("aria-label", `Example: ${name}`);
      button.append(thumbnail(strokes));
      button.addEventListener("click", () => onChoose(example));
      return button;
    }),
  );
}

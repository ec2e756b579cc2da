"use strict";
// Inks of formulas that people know, to try without writing.

// onChoose: called with the strokes of the example that was chosen.
async function offerExamples(find, { onChoose }) {
  const answer = await fetch("/examples.json").catch(() => null); // the page is of use without them
  if (!answer?.ok) return;
  const examples = await answer.json();
  find("examples").replaceChildren(
    ...examples.map(({ name, strokes }) => {
      const button = document.createElement("button");
      button.title = name;
      button.setAttribute("aria-label", `Example: ${name}`);
      button.append(thumbnail(strokes));
      button.addEventListener("click", () => onChoose(strokes));
      return button;
    }),
  );
}

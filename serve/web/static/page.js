"use strict";
// The service's own page: the parts, with the service that serves them.
const QUALITIES = { fast: "beams=3", best: "beams=4&drawings=7" };

async function post(path, body, type, signal) {
  const answer = await fetch(path, { method: "POST", body, headers: { "Content-Type": type }, signal });
  const content = await answer.json();
  if (!answer.ok) throw new ServiceError(content.error, answer.status);
  return content;
}

const find = (id) => document.getElementById(id);
const { sheet, viewer, readings, written, pace } = makeWriter(find, {
  recognize: (item, quality, signal) =>
    item instanceof Blob
      ? post(`/recognize?${QUALITIES[quality]}`, item, "application/octet-stream", signal)
      : post(`/recognize?${QUALITIES[quality]}`, JSON.stringify(item), "application/json", signal),
  typeset: async (latex, signal) => (await post("/typeset", JSON.stringify({ latex }), "application/json", signal)).results,
  examples: fetch("/examples.json").then((answer) => answer.json()),
});

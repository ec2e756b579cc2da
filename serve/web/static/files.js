"use strict";
// Pictures and ink files that are opened, photographed, pasted or dropped.
const MAX_FILE_MB = 8; // what the service accepts
const MAX_FILES = 32;

// onFiles: called with the files to recognise. onProblem: called with a line that says why there are none.
// signal: ends the watching of the whole page.
function watchFiles(find, { onFiles, onProblem, signal }) {
  for (const id of ["file", "camera"]) {
    find(id).addEventListener("change", (event) => {
      take([...event.target.files]);
      event.target.value = ""; // so that the same file can be chosen again
    });
  }
  // closed without a photo, or refused: a browser does not tell which
  find("camera").addEventListener("cancel", () =>
    onProblem("There is no photo. If the camera is refused, allow it in the browser's settings, or open a file."),
  );

  addEventListener(
    "paste",
    (event) => {
      const isTyping = event.composedPath()[0].closest?.("textarea, input");
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) {
        event.preventDefault();
        take(files);
      } else if (!isTyping) onProblem("There is no picture in the clipboard. Text can be pasted into the LaTeX field.");
    },
    { signal },
  );

  const dropped = (event) => {
    if (!event.dataTransfer) return;
    event.preventDefault(); // or the browser would open the file in place of the page
    find("paper").classList.toggle("over", event.type === "dragenter" || event.type === "dragover");
    if (event.type === "drop") takeDropped(event.dataTransfer);
  };
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) addEventListener(name, dropped, { signal });

  function takeDropped(data) {
    const isFolder = [...data.items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
    if (isFolder) onProblem("That is a folder: drop the pictures in it. `latexify recognize FOLDER` reads folders.");
    else if (data.files.length === 0) onProblem("That is no file. Save the picture, then drop it here.");
    else take([...data.files]);
  }

  function take(files) {
    const problems = files.map(problemOf).filter(Boolean);
    const good = files.filter((file) => !problemOf(file)).slice(0, MAX_FILES);
    if (good.length < files.length - problems.length) problems.push(`Only the first ${MAX_FILES} files are recognised.`);
    if (good.length) onFiles(good);
    if (problems.length) onProblem(problems.join(" "));
  }
}

// Why a file is not sent; empty if it is.
function problemOf(file) {
  if (file.size === 0) return `${file.name} is empty.`;
  if (file.size <= MAX_FILE_MB * 1e6) return "";
  return `${file.name} has ${Math.round(file.size / 1e6)} MB, at most ${MAX_FILE_MB} are possible: make it smaller.`;
}

// Shows a file in place of the sheet; a kind that the browser cannot show by its name.
function makeViewer(find) {
  let url = null;
  const viewer = { show, hide, isShown: () => !find("shown").hidden };

  function show(file) {
    hide();
    url = URL.createObjectURL(file);
    find("picture").hidden = !file.type.startsWith("image/");
    find("picture").onerror = () => (find("picture").hidden = true);
    find("picture").src = url;
    find("file-name").textContent = file.name;
    find("shown").hidden = false;
  }

  function hide() {
    if (url !== null) URL.revokeObjectURL(url);
    url = null;
    find("picture").removeAttribute("src");
    find("shown").hidden = true;
  }
  return viewer;
}

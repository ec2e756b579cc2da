"use strict";
// Pictures and ink files that are opened, photographed, pasted or dropped.
const MAX_FILE_MB = 8; // what the service accepts

// onFile: called with a file to recognise. onProblem: called with a line that says why there is none.
function watchFiles(find, { onFile, onProblem }) {
  for (const id of ["file", "camera"]) {
    find(id).addEventListener("change", (event) => {
      const { files } = event.target;
      if (files.length) take(files[0]);
      event.target.value = ""; // so that the same file can be chosen again
    });
  }

  addEventListener("paste", (event) => {
    const isTyping = event.target.closest?.("textarea, input");
    const [file] = event.clipboardData?.files ?? [];
    if (file) {
      event.preventDefault();
      take(file);
    } else if (!isTyping) onProblem("There is no picture in the clipboard. Text can be pasted into the LaTeX field.");
  });

  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    addEventListener(name, (event) => {
      if (!event.dataTransfer) return;
      event.preventDefault(); // or the browser would open the file in place of the page
      find("paper").classList.toggle("over", name === "dragenter" || name === "dragover");
      if (name === "drop") takeDropped(event.dataTransfer);
    });
  }

  function takeDropped(data) {
    const isFolder = [...data.items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
    if (isFolder) onProblem("That is a folder: drop one picture. `latexify recognize FOLDER` reads folders.");
    else if (data.files.length === 0) onProblem("That is no file. Save the picture, then drop it here.");
    else {
      take(data.files[0]);
      if (data.files.length > 1) onProblem(`${data.files.length} files were dropped; only the first is recognised.`);
    }
  }

  function take(file) {
    if (file.size === 0) return onProblem(`${file.name} is empty.`);
    if (file.size > MAX_FILE_MB * 1e6)
      return onProblem(`${file.name} has ${Math.round(file.size / 1e6)} MB, at most ${MAX_FILE_MB} are possible: make it smaller.`);
    onFile(file);
  }
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

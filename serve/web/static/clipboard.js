"use strict";
// Copies the text of `element` (or its value) and returns true. If that fails, selects it for Ctrl+C and returns false.
async function copyText(element) {
  if (await copyPlain(element.value ?? element.textContent, element)) return true;
  if (element.select) element.select();
  else getSelection().selectAllChildren(element);
  return false;
}

// Copies a text and returns whether that was possible; the focus returns to where it was.
async function copyPlain(text, element = document.body) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // browsers only offer the clipboard on https and localhost, and if the user allows it
  }
  const focused = element.getRootNode().activeElement;
  const box = document.createElement("textarea");
  box.value = text;
  box.readOnly = true; // keeps a phone's keyboard hidden
  box.style.cssText = "position: fixed; opacity: 0;";
  document.body.append(box);
  box.select();
  const isCopied = document.execCommand("copy");
  box.remove();
  focused?.focus();
  return isCopied;
}

// The picture of a formula as PNG, of an SVG element with all that it needs in itself.
async function pngOf(markup, scale = 4) {
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(markup)}`;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.ceil(picture.width * scale), Math.ceil(picture.height * scale)];
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

// Copies a picture where the browser can, else saves it as a file. Returns what it did.
async function copyPicture(blob, name) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ [blob.type]: blob })]);
    return "Copied";
  } catch {
    saveFile(blob, name);
    return "Saved";
  }
}

function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

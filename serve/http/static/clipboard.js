"use strict";
// Copies the text of `element` and returns true. If that fails, selects it for Ctrl+C and returns false.
async function copyText(element) {
  const text = element.textContent;
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
  if (!isCopied) getSelection().selectAllChildren(element);
  return isCopied;
}

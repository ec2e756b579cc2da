"use strict";
// True where the text of `element` is on the clipboard; where it cannot be, it is selected, for Ctrl+C.
async function copyText(element) {
  const text = element.textContent;
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // the clipboard is there for https and localhost only, and where the browser's user allows it
  }
  const focused = element.getRootNode().activeElement;
  const box = document.createElement("textarea");
  box.value = text;
  box.readOnly = true; // no keyboard on a phone
  box.style.cssText = "position: fixed; opacity: 0;";
  document.body.append(box);
  box.select();
  const isCopied = document.execCommand("copy");
  box.remove();
  focused?.focus();
  if (!isCopied) getSelection().selectAllChildren(element);
  return isCopied;
}

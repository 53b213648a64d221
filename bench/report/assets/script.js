// Opens the details that an address points at, and adds a button that copies a command. Nothing depends on it.
"use strict";

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.matches("[popover]")) target.showPopover();
  const details = target.closest("details");
  if (details) details.open = true;
}

function addCopyButton(pre) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(pre);
    try {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "selected: press Ctrl+C";
    }
  });
  pre.after(button);
}

addEventListener("hashchange", openTarget);
openTarget();
document.querySelectorAll("pre.command").forEach(addCopyButton);

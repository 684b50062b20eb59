"use strict";
/* The theme that was chosen, before anything is drawn. */
try {
  const theme = localStorage.getItem("taxiway-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* a browser that keeps nothing: the system's theme */ }

// Before anything is drawn: the theme chosen last time, if any, and that scripts run.
document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("rapport-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* a page opened from a file may have no storage */ }

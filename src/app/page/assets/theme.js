// Sets the theme that was chosen before anything is drawn. No module, as those run after the first paint.
(function () {
  "use strict";
  var theme = null;
  try {
    theme = localStorage.getItem("pushgateway.theme");
  } catch (error) {
    // Storage may be forbidden; then the system decides.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();

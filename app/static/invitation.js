// An invitation behind the `#` goes into the form and off the address, so that it stays in no history.
"use strict";
if (location.hash.length > 1) {
  document.getElementById("token").value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
}

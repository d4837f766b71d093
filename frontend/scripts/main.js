/** Starts the page: who is signed in decides what is shown; the overview refreshes itself once a second. */

import * as cameras from "./cameras.js";
import * as session from "./session.js";
import * as sightings from "./sightings.js";
import { forgetToken, get, signedIn, signOut } from "./api.js";

const REFRESH_MS = 1000;
const RETRY_MS = 3000;

const overview = document.querySelector("#overview");
const connection = document.querySelector("#connection");
const whoami = document.querySelector("#whoami");
let timer = 0;

/** @param {boolean} live */
function showConnection(live) {
  connection.dataset.state = live ? "live" : "away";
  connection.textContent = live ? "live" : "reconnecting";
}

/** @param {boolean} mayOperate */
async function refresh(mayOperate) {
  let pause = REFRESH_MS;
  try {
    await Promise.all([cameras.refresh(mayOperate), sightings.refresh()]);
    showConnection(true);
  } catch (problem) {
    if (problem.status === 401) return leave();
    showConnection(false);
    pause = RETRY_MS;
  }
  if (!overview.hidden) timer = window.setTimeout(refresh, pause, mayOperate);
}

/** Shows the sign-in form and forgets everything of the last user. */
function leave() {
  window.clearTimeout(timer);
  forgetToken();
  overview.hidden = true;
  cameras.clear();
  sightings.clear();
  session.show("login");
}

/** Shows what the signed-in user may see. */
async function enter() {
  let user;
  try {
    user = await get("/auth/me");
  } catch (problem) {
    if (problem.status === 401) return leave();
    showConnection(false);
    overview.hidden = false;
    timer = window.setTimeout(enter, RETRY_MS);
    return;
  }
  if (user.must_change_password) return session.show("password", user.username);
  session.show("none");
  whoami.textContent = user.full_name || user.username;
  overview.hidden = false;
  refresh(user.role !== "viewer");
}

document.querySelector("#logout").addEventListener("click", async () => {
  await signOut();
  leave();
});
session.start(enter);
if (signedIn()) enter();
else session.show("login");

/** The API to read: ReDoc on this server's own description. */

import { init } from "/vendor/redoc/redoc.standalone.js";

// With workers, ReDoc's search would compile code from text, which the policy of this page forbids; without, it
// searches right here.
delete globalThis.Worker;

const page = document.querySelector("#api");
try {
  const answer = await fetch("/api/openapi.json");
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  // Given the description itself and not its address, ReDoc shows no buttons that hand the page to others' assistants.
  init(await answer.json(), { disableTelemetry: true }, page);
} catch (problem) {
  page.textContent = `The API's description cannot be read: ${problem.message}.`;
}

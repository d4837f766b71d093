/** Signing in and the forced change of a first password. */

import { post, signIn } from "./api.js";

const login = document.querySelector("#login");
const password = document.querySelector("#password");

/**
 * Runs a form: one request at a time, its error beside the button, fields emptied on success.
 * @param {Element} card
 * @param {(data: Record<string, string>) => Promise<void>} submit
 */
function wire(card, submit) {
  const form = card.querySelector("form");
  const error = form.querySelector(".form-error");
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await submit(Object.fromEntries(new FormData(form)));
      form.reset();
    } catch (problem) {
      error.textContent = problem.message;
      form.querySelector("input[type=password]").focus();
    } finally {
      button.disabled = false;
    }
  });
}

/**
 * @param {(event: {mustChange: boolean}) => void} onSignedIn
 */
export function start(onSignedIn) {
  wire(login, async ({ username, password: secret }) => {
    if (!username || !secret) throw new Error("Enter your username and password.");
    const answer = await signIn(username, secret);
    password.querySelector("[name=username]").value = username;
    onSignedIn({ mustChange: answer.must_change_password });
  });
  wire(password, async ({ username, old_password, new_password, again }) => {
    if (new_password !== again) throw new Error("The two new passwords differ.");
    await post("/auth/change-password", { old_password, new_password });
    // Changing the password ends every token, this one too.
    await signIn(username, new_password);
    onSignedIn({ mustChange: false });
  });
}

/**
 * Shows the sign-in form, the password form, or neither.
 * @param {"login" | "password" | "none"} which
 * @param {string} [username] whose password is to be changed
 */
export function show(which, username) {
  login.hidden = which !== "login";
  password.hidden = which !== "password";
  if (username) password.querySelector("[name=username]").value = username;
  const card = { login, password }[which];
  card?.querySelector("input:not([hidden])")?.focus();
}

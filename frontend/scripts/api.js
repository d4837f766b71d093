/**
 * The one way to the REST API: adds the token, turns error answers into ApiError.
 * The token lives in sessionStorage, so that it ends with the tab.
 */

const TOKEN_KEY = "vedette.token";

/** An answer of the API that is not a success, in the API's own words. */
export class ApiError extends Error {
  /**
   * @param {number} status HTTP status; 0 when the server could not be reached
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @returns {boolean} whether someone is signed in */
export const signedIn = () => sessionStorage.getItem(TOKEN_KEY) !== null;

/** Forgets the token. */
export const forgetToken = () => sessionStorage.removeItem(TOKEN_KEY);

/**
 * @param {string} path below /api
 * @param {RequestInit} [init]
 * @returns {Promise<Response>} a successful answer
 * @throws {ApiError}
 */
async function request(path, init = {}) {
  const headers = new Headers(init.headers);
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let response;
  try {
    response = await fetch(`/api${path}`, { ...init, headers });
  } catch {
    throw new ApiError(0, "The server cannot be reached.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new ApiError(response.status, problem.message ?? `The server answered ${response.status}.`);
}

/**
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
export async function post(path, body) {
  const init = { method: "POST" };
  if (body) Object.assign(init, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  const text = await (await request(path, init)).text();
  return text ? JSON.parse(text) : null;
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
export const get = async (path) => (await request(path)).json();

/**
 * @param {string} path
 * @returns {Promise<Blob>}
 */
export const getBlob = async (path) => (await request(path)).blob();

/**
 * Signs in and keeps the token.
 * @param {string} username
 * @param {string} password
 * @returns {Promise<{must_change_password: boolean}>}
 */
export async function signIn(username, password) {
  const answer = await post("/auth/login", { username, password });
  sessionStorage.setItem(TOKEN_KEY, answer.access_token);
  return answer;
}

/** Revokes the token, if the server can be reached, and forgets it. */
export async function signOut() {
  await post("/auth/logout").catch(() => {});
  forgetToken();
}

// What is asked of the service, from wherever this script was loaded: public data alone, and never with a cookie.
const home = new URL("./", import.meta.url);

/** An answer that is none. `status` is 0 where nothing came back; `wait` is in seconds. */
export class Refusal extends Error {
  constructor(status, wait = 0) {
    super(`the service answered ${status}`);
    this.status = status;
    this.wait = wait;
  }
}

/** The JSON at a path of the service; with a body, what is answered to it. Throws Refusal. */
export async function ask(path, signal, body) {
  const headers = { "Content-Type": "application/json" };
  const posted = body && { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(new URL(path, home), { credentials: "omit", signal, ...posted }).catch((error) => {
    throw signal.aborted ? error : new Refusal(0);
  });
  if (!answer.ok) throw new Refusal(answer.status, Number(answer.headers.get("Retry-After")));
  return answer.json();
}

/** The address of a listing's public page. */
export function pageOf(id, language) {
  return new URL(`${language}/listings/${id}`, home).href;
}

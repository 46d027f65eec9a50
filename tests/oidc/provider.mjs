// The OpenID provider of the tests: oidc-provider with a login that needs no password.
// Usage: node provider.mjs CONFIG, where CONFIG is JSON with `client_id`, `client_secret`, `redirect_uris` and
// `people`: claims by subject. Prints its issuer once it listens; ends when its standard input does.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const config = JSON.parse(process.argv[2]);
const server = createServer();

// Whoever follows a link is that person. `?as=nobody` is someone who gives up.
async function interact(provider, request, response, url) {
  const { uid, grantId, params, session } = await provider.interactionDetails(request, response);
  const subject = url.searchParams.get('as');
  if (subject === null) {
    const links = Object.keys(config.people).map((name) => `<p><a href="/interaction/${uid}?as=${name}">${name}</a></p>`);
    response.setHeader('content-type', 'text/html');
    response.end(`<!doctype html><title>Provider of the tests</title>${links.join('')}`);
    return;
  }
  if (subject === 'nobody') {
    const refusal = { error: 'access_denied', error_description: 'given up' };
    await provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
    return;
  }
  const accountId = session?.accountId ?? subject;
  const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope('openid email');
  const result = { login: { accountId }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: config.client_id, client_secret: config.client_secret, redirect_uris: config.redirect_uris }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: true,
    cookies: { keys: ['a key of the tests alone'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...config.people[sub] }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
  });
  const answer = provider.callback();
  server.on('request', (request, response) => {
    const url = new URL(request.url, issuer);
    if (!url.pathname.startsWith('/interaction/')) {
      answer(request, response);
      return;
    }
    interact(provider, request, response, url).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  console.log(issuer);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

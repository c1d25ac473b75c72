// What the tests share: the client as an application makes it, and a look inside the emulator.

import assert from 'node:assert/strict';
import { Client } from '@microsoft/microsoft-graph-client';

const url = process.env.EMULATOR;

const authProvider = (done) => done(null, 'any-token-will-do');

/** The client's own defaults, but for the address. */
export const client = Client.init({ authProvider, baseUrl: `${url}/`, customHosts: new Set(['localhost']) });

/** Asks the emulator itself, past the service. */
export async function control(method, path = '', body = undefined) {
  const answer = await fetch(`${url}/__emulator${path}`, { method, body });
  assert.equal(answer.status, method === 'GET' ? 200 : 204, await answer.clone().text());
  return method === 'GET' ? answer.json() : undefined;
}

/** What was asked of the service since the last reset: `PUT /v1.0/me/activities/a 201`. */
export async function journal() {
  const { journal } = await control('GET', '/journal');
  return journal.map(({ request, status }) => `${request} ${status}`);
}

/** A GET without the client. */
export async function stored(path) {
  const answer = await fetch(`${url}${path}`, { headers: { Authorization: 'Bearer any' } });
  return { status: answer.status, body: await answer.json() };
}

/** An emulator that has the connection `contosohr` with the properties of the documents, and no more. */
export async function contosohr() {
  await control('POST', '/reset');
  await client.api('/external/connections').post({ id: 'contosohr', name: 'Contoso HR', description: '' });
  await client.api('/external/connections/contosohr/schema').patch({
    baseType: 'microsoft.graph.externalItem',
    properties: [
      { name: 'title', type: 'string', isSearchable: true, isRetrievable: true },
      { name: 'priority', type: 'int64', isRetrievable: true },
      { name: 'assignee', type: 'string', isRetrievable: true },
      { name: 'categories', type: 'stringCollection', isRetrievable: true },
    ],
  });
}

/** An item with a title, for anybody. */
export const item = (title) => ({
  acl: [{ type: 'everyone', value: '6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d', accessType: 'grant' }],
  properties: { 'title@odata.type': 'String', title },
});

/** A user activity. */
export const activity = (appActivityId) => ({
  appActivityId,
  activitySourceHost: 'https://contoso.com',
  activationUrl: 'https://www.contoso.com/article?id=12345',
  visualElements: { displayText: 'Contoso How-To: How to Tie a Reef Knot' },
});

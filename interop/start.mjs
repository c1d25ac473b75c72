// Starts the emulator over TLS, runs the tests against it, and ends it.
//
// Over TLS, because the client gives its token to https only, and reads no other links. Node reads
// the certificates that it trusts when it starts, so the tests are a process of their own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [program] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'graphfeed-interop-'));
const certificate = join(folder, 'certificate.pem');
const emulator = spawn(
  program,
  ['--tls', certificate, '--control', '--journal', '100', '--set', 'schema-delay=0', '--set', 'delete-delay=0'],
  { stdio: ['ignore', 'pipe', 'ignore'] },
);
process.on('exit', () => {
  emulator.kill();
  rmSync(folder, { recursive: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const ready = once(createInterface(emulator.stdout), 'line');
const ended = once(emulator, 'exit').then(([status]) => {
  throw new Error(`${program} ended with ${status} before it was ready`);
});
const [line] = await Promise.race([ready, ended]);
// It may end now.
ended.catch(() => {});

const tests = readdirSync('.').filter((name) => name.endsWith('.test.mjs')).sort();
const runner = spawn(process.execPath, ['--test', '--test-concurrency=1', ...tests], {
  stdio: 'inherit',
  timeout: 120_000,
  env: { ...process.env, NODE_EXTRA_CA_CERTS: certificate, EMULATOR: line.replace('listening on ', '') },
});
const [status] = await once(runner, 'exit');
process.exit(status ?? 1);

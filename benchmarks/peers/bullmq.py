"""BullMQ and nodemailer: one job a recipient, rendered with nunjucks (Jinja2's twin) from the same files."""

from pathlib import Path

from benchmarks.course import Course, Runner
from benchmarks.crew import BenchmarkError, Crew
from benchmarks.installing import installed

PACKAGES = ("bullmq@6.7.0", "ioredis@5", "nodemailer@10.6.0", "nunjucks@3.2.4")

_SHARED = """\
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
export const course = JSON.parse(process.env.BENCHMARK_COURSE);
export const require = createRequire(course.cache + '/bullmq/');
export const connection = { path: course.queue_socket, maxRetriesPerRequest: null };
"""

_PRODUCER = """\
import { readFileSync } from 'node:fs';
import { course, connection, require } from './shared.mjs';
const { Queue } = require('bullmq');
const queue = new Queue('letters', { connection });
const lines = readFileSync(course.folder + '/recipients.csv', 'utf8').trim().split('\\r\\n');
const columns = lines.shift().split(',');
let jobs = [];
for (const line of lines) {
  const cells = line.split(',');
  jobs.push({ name: 'letter', data: Object.fromEntries(columns.map((name, place) => [name, cells[place]])) });
  if (jobs.length === 1000) { await queue.addBulk(jobs); jobs = []; }
}
await queue.addBulk(jobs);
await queue.close();
"""

_WORKER = """\
import { readFileSync } from 'node:fs';
import { course, connection, require } from './shared.mjs';
const { Worker } = require('bullmq');
const nodemailer = require('nodemailer');
const nunjucks = require('nunjucks');
const transport = nodemailer.createTransport({
  host: '127.0.0.1', port: course.tls_port, secure: false, requireTLS: true,
  pool: true, maxConnections: course.connections, maxMessages: Infinity,
  tls: { ca: readFileSync(course.ca_file) },
});
const folder = course.folder + '/templates/letter/';
const load = (name, autoescape) => {
  const env = new nunjucks.Environment(null, { autoescape, throwOnUndefined: true });
  return nunjucks.compile(readFileSync(folder + name, 'utf8'), env);
};
const subject = load('subject.txt.j2', false);
const text = load('body.txt.j2', false);
const html = load('body.html.j2', true);
const worker = new Worker('letters', async (job) => {
  await transport.sendMail({
    from: course.sender,
    to: job.data.email,
    subject: subject.render(job.data).trim(),
    text: text.render(job.data),
    html: html.render(job.data),
  });
}, { connection, concurrency: course.connections });
await worker.waitUntilReady();
console.log('ready');
process.on('SIGTERM', () => process.exit(0));
"""


def install(cache: Path) -> None:
    """With npm."""
    folder = cache / "bullmq"
    folder.mkdir(parents=True, exist_ok=True)
    steps = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
    installed(folder / "node_modules" / "nunjucks", steps, folder=folder)


def ready(course: Course, crew: Crew) -> None:
    """Start the workers."""
    scratch = Path(course.scratch)
    for name, script in (("shared", _SHARED), ("producer", _PRODUCER), ("worker", _WORKER)):
        (scratch / f"{name}.mjs").write_text(script)
    if not (Path(course.cache) / "bullmq").exists():
        raise BenchmarkError("BullMQ is not installed")
    for number in range(course.processes):
        crew.start(f"worker{number}", ["node", scratch / "worker.mjs"], environ=course.environ())
        crew.until_said(f"worker{number}", "ready")


def go(course: Course, crew: Crew) -> None:
    """Start the producer."""
    crew.start("producer", ["node", Path(course.scratch) / "producer.mjs"], environ=course.environ())


RUNNERS = (
    Runner(
        name="bullmq",
        what="one BullMQ job a recipient (addBulk), nunjucks, nodemailer's pool, STARTTLS",
        ready=ready,
        go=go,
        install=install,
        needs_queue=True,
    ),
)

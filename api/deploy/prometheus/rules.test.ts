import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
// biome-ignore lint/style/noRestrictedImports: what is deployed watches both processes.
import { prometheus as ofBridge } from '../../../bridge/status/prometheus.ts'
import { prometheus as ofApi } from '../../metrics/prometheus.ts'
import { siteNames } from '../../metrics/site.ts'

type Rule = { alert: string; expr: string; for?: string; annotations: Record<string, string> }
type Rules = { groups: { rules: Rule[] }[] }
type Tests = { tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[] }
type Panel = { id: number; type: string; title: string; gridPos: { x: number; y: number; w: number; h: number } } & {
  targets?: { refId: string; expr: string }[]
}
type Dashboard = { uid: string; schemaVersion: number; panels: Panel[]; templating: { list: { name: string }[] } }

const read = (file: string) => readFileSync(`api/deploy/${file}`, 'utf8')
const rules = (parse(read('prometheus/rules.yaml')) as Rules).groups.flatMap((group) => group.rules)
const { tests } = parse(read('prometheus/rules.test.yaml')) as Tests
const dashboard = JSON.parse(read('grafana/lintel.json')) as Dashboard
const graphs = dashboard.panels.filter(({ type }) => type !== 'row')

/** What the two processes export; `up` is Prometheus's own. A histogram is three names. */
const exported = async (): Promise<Set<string>> => {
  const texts = await Promise.all([ofApi().text(), ofBridge(() => undefined).text()])
  const types = texts.flatMap((text) => [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)])
  const names = types.flatMap(([, name = '', type]) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name],
  )
  return new Set(['up', ...names, ...siteNames])
}

/** Names that an expression selects series by: labels stand in braces and after `by`, words of PromQL take a parenthesis. */
const namesIn = (expr: string): string[] =>
  expr
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(by|on|without)\s*\([^)]*\)/g, '')
    .match(/\b[a-z_]\w*\b(?!\s*\()/gi)
    ?.filter((word) => !['or', 'and', 'unless'].includes(word)) ?? []

const expressions = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...graphs.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
]

test.each(expressions)('%s asks only for what a process exports: %s', async (_, expr) => {
  const names = namesIn(expr)
  expect(names.length).toBeGreaterThan(0)
  const known = await exported()
  expect(names.filter((name) => !known.has(name))).toEqual([])
})

test('whatever Lintel exports is looked at by a panel or an alert', async () => {
  const asked = new Set(
    expressions.flatMap(([, expr]) => namesIn(expr)).map((name) => name.replace(/_(bucket|count)$/, '')),
  )
  const all = [...(await exported())].filter((name) => name.startsWith('lintel_') && !/_(bucket|sum)$/.test(name))
  expect(all.map((name) => name.replace(/_count$/, '')).filter((name) => !asked.has(name))).toEqual([])
})

test.each(rules.map(({ alert }) => alert))('%s says what to do, and a test fires it', (alert) => {
  const { annotations } = rules.find((rule) => rule.alert === alert) ?? {}
  expect(annotations).toEqual({ summary: expect.stringMatching(/\.$/), todo: expect.stringMatching(/\.$/) })
  const fired = tests.flatMap((one) => one.alert_rule_test).filter(({ alertname }) => alertname === alert)
  expect(fired.some(({ exp_alerts }) => exp_alerts.length > 0)).toBe(true)
  expect(fired.some(({ exp_alerts }) => exp_alerts.length === 0)).toBe(true)
})

test('the dashboard is whole: each panel has its id, its place and its questions', () => {
  expect(dashboard).toMatchObject({ uid: 'lintel', schemaVersion: expect.any(Number) })
  expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource'])
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
  for (const { title, gridPos, targets = [] } of graphs) {
    expect({ title, asks: targets.length > 0, wide: gridPos.x + gridPos.w <= 24 }).toEqual({
      title,
      asks: true,
      wide: true,
    })
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
  }
})

test('the example collects from both, under the names that the rules know', () => {
  const { scrape_configs } = parse(read('prometheus/prometheus.yaml')) as { scrape_configs: { job_name: string }[] }
  expect(scrape_configs.map(({ job_name }) => job_name)).toEqual(['lintel-api', 'lintel-bridge'])
})

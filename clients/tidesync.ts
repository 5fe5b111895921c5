// The dashboard's commands for programs in TypeScript: one file, no dependency. Copy it into your program.
//
// Nothing here throws and nothing waits longer than the time-out: a recording must never wait for its clocks.
// Each call resolves to {ok: true, value} or {ok: false, error, detail}; `error` is the dashboard's word, or
// "timeout", "network_error" or "invalid_answer" where there was none of it.
//
//   const tidesync = new Tidesync();                      // http://127.0.0.1:8780
//   const begun = await tidesync.startSession({ mission: "Reef 42", sensors: { inWater: "rov1" }, session: id });
//   if (!begun.ok) console.warn(`recorded without clock offsets: ${begun.detail}`);

// Types: made by `make schemas` from schemas/published/dashboard.openapi.json.
/** What this dashboard is, and whether it takes commands. */
export interface AboutView {
  version: string;
  /** One for each start of the dashboard */
  instance: string;
  may_command: boolean;
  /** Whether reports and tables of stopped sessions can be made here */
  products: boolean;
  /** Seconds after which a result counts as old, at least; see `fresh_s` of a vehicle */
  fresh_s: number;
}

/** The dashboard's connection to the broker. */
export interface BrokerView {
  connected: boolean;
  address: string;
  /** Why there is no connection, or what the broker refuses to this account over it */
  problem: string | null;
  /** Since anything arrived; null if nothing has yet */
  silent_s: number | null;
}

/** What an extension offers to Cockpit. */
export interface CockpitExtras {
  target_system?: "Cockpit";
  target_cockpit_api_version?: string;
  targetSystem?: "Cockpit";
  targetCockpitApiVersion?: string;
  widgets: Array<CockpitWidget>;
  actions?: Array<unknown>;
}

/** Where Cockpit's data lake is fed from. */
export interface CockpitView {
  /** Address of the WebSocket, relative to the page's; with its token */
  websocket: string;
}

/** A page that Cockpit shows in a frame. */
export interface CockpitWidget {
  name: string;
  version: string;
  iframe_url: string;
  iframe_icon: string;
  collapsible_container_name: string;
  start_collapsed?: boolean;
  iframeUrl: string;
  iframeIcon: string;
  collapsibleContainerName: string;
  startCollapsed?: boolean;
}

/** The dashboard's own computer, which on a boat is topside's as well. */
export interface ComputerView {
  /** Its time of day, ms since the Unix epoch */
  unix_ms: number;
  /** Who disciplines its clock and how fast it may move, for people; null: not known */
  clock: string | null;
  /** Whether nothing disciplines it */
  clock_free: boolean | null;
  /** Free space where sessions are written; null without `--root` */
  free_bytes: number | null;
}

/** Every vehicle, and the connection that it was heard over. */
export interface FleetView {
  broker: BrokerView;
  computer: ComputerView;
  vehicles: Array<VehicleView>;
  /** Vehicles there is no room for: they are not in the list */
  not_shown?: number;
}

/** Whether the dashboard serves, and whether it has its broker. */
export interface HealthView {
  status: "ok";
  broker_connected: boolean;
}

/** The last hours in columns of one length; instants, of the results, in ms by the dashboard's clock. */
export interface HistoryView {
  vehicle: string;
  topside: string;
  /** If it differs, the dashboard was restarted: ask without `after` */
  instance: string;
  /** Give this as `after` to get only what is newer */
  last: number;
  now_unix_ms: number;
  at_unix_ms: Array<number>;
  /** Pi − topside, positive when the Pi is ahead, in ms. */
  offset_ms: Array<number | null>;
  /** The true offset is not below this, ms. */
  lower_ms: Array<number | null>;
  /** The true offset is not above this, ms. */
  upper_ms: Array<number | null>;
  /** The largest possible error of `offset_ms`, ms. */
  max_error_ms: Array<number | null>;
  /** Rate of the offset of the RAW clocks, positive when the Pi's runs fast, ppm. */
  drift_ppm: Array<number | null>;
  /** Minimum round trip in the window in use, less the Pi's processing time; ms. */
  delay_min_ms: Array<number | null>;
  segment: Array<number>;
  state: Array<HistoryViewState | "unknown">;
  incidents: Array<IncidentView>;
}

export type HistoryViewState = "acquiring" | "locked" | "holdover" | "stale" | "unsynced";

/** Something that happened to a vehicle, for people to read. */
export interface IncidentView {
  at_unix_ms: number;
  kind: IncidentViewKind;
  text: string;
}

export type IncidentViewKind = "step" | "suspend" | "state" | "reboot" | "online" | "offline";

/** The newest clock step or suspend that a vehicle has reported. */
export interface LastEvent {
  kind: LastEventKind;
  step_ms: number;
  /** Seconds from the end of the last exchange to `measured_at`. */
  age_s: number;
}

export type LastEventKind = "step" | "suspend";

/** The token, once; the browser keeps a cookie instead. */
export interface Login {
  token: string;
}

/** Make a product, or make it again. */
export interface MakeProduct {
}

/** Measure a vehicle at once with a burst of exchanges. */
export interface Measure {
  /** By this topside; else by all that measure it */
  topside?: string | null;
}

/** The topsides that were asked. They do not answer: the next results show it. */
export interface Measuring {
  vehicle: string;
  topsides: Array<string>;
}

/** Why it was not done: a word for programs, a sentence for people. */
export interface ProblemView {
  error: ProblemViewError;
  detail: string;
}

export type ProblemViewError = "invalid" | "unauthorized" | "forbidden" | "read_only" | "not_found" | "method_not_allowed" | "refused" | "too_large" | "length_required" | "not_json" | "broker_unreachable" | "recorder_failed" | "too_many" | "no_answer";

/** A file that was made. */
export interface ProductFile {
  /** Its path below the product's folder; the address of the file ends in it */
  name: string;
  bytes: number;
}

/** One product of a session. */
export interface ProductView {
  kind: ProductViewKind;
  state: ProductViewState;
  /** While it is made: the part that is done, 0 to 1 */
  progress: number | null;
  /** Why it was not made, or not wholly, when it was last tried since the dashboard started */
  problem: string | null;
  /** By the clock of the dashboard's computer */
  made_unix_s: number | null;
  files: Array<ProductFile>;
}

export type ProductViewKind = "report" | "tables" | "fused";

export type ProductViewState = "absent" | "waiting" | "making" | "ready";

/** What can be made of a stopped session, and was. */
export interface ProductsView {
  session: string;
  products: Array<ProductView>;
}

/** A session as its recorder last reported it. */
export interface SessionView {
  session: string;
  state: SessionViewState | string;
  request_id: string | null;
  /** The session's folder relative to the recorder's root */
  path: string | null;
  mission: string | null;
  /** Which vehicle's clock stamps a sensor; empty: every vehicle */
  sensors: Record<string, string>;
  exchanges: number;
  last_exchange_at: string | null;
  alarm: string | null;
  error: string | null;
  /** By the recorder's clock; null: not known */
  started_at: string | null;
  /** Of a stopped session: its last exchanges and its track are still being written */
  closing?: boolean;
  /** Since its recorder reported it; a running one does so at least every 5 s */
  told_s: number | null;
}

export type SessionViewState = "recording" | "stopped" | "refused" | "failed";

/** Every session that the broker knows of. */
export interface SessionsView {
  broker: BrokerView;
  sessions: Array<SessionView>;
}

/** Begin recording a session. */
export interface StartSession {
  /** The folder of its sessions */
  mission: string;
  /** Which vehicle's clock stamps a sensor, as {"inWater": "rov1"}; empty: every vehicle */
  sensors?: Record<string, string>;
  /** Its name; else the time, as 2026-05-01T12-00-00Z; -2 is added when that is taken */
  session?: string | null;
  /** Give it, and `session`, to repeat a request safely: the recorder does it once */
  request_id?: string | null;
  /** Seconds to wait for the recorder's answer */
  timeout_s?: number;
}

/** A session that has just begun. */
export interface StartedView {
  session: string;
  state: StartedViewState | string;
  request_id: string | null;
  /** The session's folder relative to the recorder's root */
  path: string | null;
  mission: string | null;
  /** Which vehicle's clock stamps a sensor; empty: every vehicle */
  sensors: Record<string, string>;
  exchanges: number;
  last_exchange_at: string | null;
  alarm: string | null;
  error: string | null;
  /** By the recorder's clock; null: not known */
  started_at: string | null;
  /** Of a stopped session: its last exchanges and its track are still being written */
  closing?: boolean;
  /** Since its recorder reported it; a running one does so at least every 5 s */
  told_s: number | null;
  /** What is unusual about the request; it is recorded anyway */
  warnings: Array<string>;
}

export type StartedViewState = "recording" | "stopped" | "refused" | "failed";

/** End the recording of a session; its track is computed and written first. */
export interface StopSession {
  /** Give it to repeat a request safely */
  request_id?: string | null;
  /** Seconds to wait for the recorder's answer */
  timeout_s?: number;
}

/** A vehicle as one topside measures it; a vehicle that two topsides measure is listed twice. */
export interface VehicleView {
  vehicle: string;
  /** The topside that measures it; null if none does */
  topside: string | null;
  /** Null when there is no current result: then only `last_state` is known */
  state: VehicleViewState | string | null;
  /** The last state that was reported, however long ago */
  last_state: VehicleViewLastState | string | null;
  /** Whether the numbers are current; else they are the last known ones */
  fresh: boolean;
  /** The result counts as old when it is older than this */
  fresh_s: number | null;
  /** Of a word that is not in the list, as of a duplicate, no number is to be relied on */
  error: VehicleViewError | string | null;
  /** Pi − topside at `measured_at`; positive: the Pi is ahead */
  offset_ms: number | null;
  /** The true offset is not below this, ms. */
  lower_ms: number | null;
  /** The true offset is not above this, ms. */
  upper_ms: number | null;
  /** The largest possible error of `offset_ms`, ms. */
  max_error_ms: number | null;
  /** 95 % half-width of `offset_ms`, ms: `precision_ms` and what the path's asymmetry may be. */
  u95_ms: number | null;
  /** Whether it holds only unless the vehicle's clock was set or slewed since its last answer */
  conditional: boolean | null;
  /** Rate of the offset of the RAW clocks, positive when the Pi's runs fast, ppm. */
  drift_ppm: number | null;
  /** Its 95 % half-width, ppm. */
  drift_error_ppm: number | null;
  /** Minimum round trip in the window in use, less the Pi's processing time; ms. */
  delay_min_ms: number | null;
  exchanges: number | null;
  rejected: number | null;
  segment: number | null;
  /** Since topside's agent started */
  steps: number | null;
  /** Those among the incidents of its history: since the dashboard started */
  steps_listed: number | null;
  method: string | null;
  /** The way of its exchanges: `mqtt`, directly by `udp`, `http` */
  path: string | null;
  boot_id: string | null;
  /** By topside's clock */
  measured_at: string | null;
  /** The same in ms since the Unix epoch. */
  measured_unix_ms: number | null;
  /** Since the result arrived; null if only a retained one did */
  result_age_s: number | null;
  /** Since the vehicle last answered */
  last_seen_s: number | null;
  /** How long `last_state` has lasted */
  state_for_s: number | null;
  /** `last_state` was there already when the dashboard started */
  state_for_at_least: boolean;
  /** The vehicle's own status, a hint; null if it has reported none */
  online: boolean | null;
  topside_online: boolean | null;
  /** Of topsides that share vehicles; null: it shares none */
  group?: string | null;
  /** Whether of the vehicle's results this one is to be used while it is `fresh`: of several topsides' results the one with the least bound that is not in doubt */
  in_use?: boolean;
  /** Sessions that record it */
  recording: Array<string>;
  last_event: LastEvent | null;
  simulated: boolean | null;
  clock_synchronized: boolean | null;
  /** Whether nothing disciplines the vehicle's clock */
  clock_free: boolean | null;
  /** Who disciplines it and how fast it may move, for people */
  clock: string | null;
  /** Of the vehicle's agent */
  version: string | null;
}

export type VehicleViewError = "timeout" | "network_error" | "high_rtt" | "invalid_pi_time" | "duplicate_vehicle" | "duplicate_topside" | "clock_rate" | "not_authorized";

export type VehicleViewLastState = "acquiring" | "locked" | "holdover" | "stale" | "unsynced";

export type VehicleViewState = "acquiring" | "locked" | "holdover" | "stale" | "unsynced";

// End of the types.

/** What went wrong before the dashboard could answer, and the dashboard's own words. */
export type Fault = "timeout" | "network_error" | "invalid_answer" | ProblemView["error"];

export type Outcome<T> = { ok: true; value: T } | { ok: false; error: Fault; detail: string; status?: number };

export interface Options {
  /** Of the dashboard. */
  url?: string;
  /** Where it was started with a token. */
  token?: string;
  /** Milliseconds until a call gives up; what the recorder was asked for may still happen afterwards. */
  timeoutMs?: number;
  fetch?: typeof fetch;
}

export class Tidesync {
  private readonly url: string;
  private readonly token: string | undefined;
  private readonly timeoutMs: number;
  private readonly fetch: typeof fetch;

  constructor(options: Options = {}) {
    this.url = (options.url ?? "http://127.0.0.1:8780").replace(/\/+$/, "");
    this.token = options.token;
    this.timeoutMs = options.timeoutMs ?? 3000;
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Every vehicle now, and whether the dashboard has its broker. */
  vehicles(): Promise<Outcome<FleetView>> {
    return this.call("GET", "api/vehicles");
  }

  /** Every session that is known, the newest first. */
  sessions(): Promise<Outcome<SessionsView>> {
    return this.call("GET", "api/sessions");
  }

  /** Begin to record; `session` names it as your own folder is named, else it is the time. */
  startSession(session: StartSession): Promise<Outcome<StartedView>> {
    return this.call("POST", "api/sessions", { ...session, timeout_s: this.answerWithin(session.timeout_s) });
  }

  /** End a recording; its files are written also where this gives up first ("timeout", "no_answer"). */
  stopSession(session: string, stop: StopSession = {}): Promise<Outcome<SessionView>> {
    const path = `api/sessions/${encodeURIComponent(session)}/stop`;
    return this.call("POST", path, { ...stop, timeout_s: this.answerWithin(stop.timeout_s) });
  }

  /** Measure a vehicle now; the next results show it. */
  measureNow(vehicle: string, measure: Measure = {}): Promise<Outcome<Measuring>> {
    return this.call("POST", `api/vehicles/${encodeURIComponent(vehicle)}/measure`, measure);
  }

  // The dashboard's own answer comes before our time-out.
  private answerWithin(asked: number | undefined): number {
    return Math.max(0.1, Math.min(asked ?? Infinity, (this.timeoutMs - 200) / 1000));
  }

  private async call<T>(method: string, path: string, body?: object): Promise<Outcome<T>> {
    const headers: Record<string, string> = {};
    if (this.token !== undefined) headers["authorization"] = `Bearer ${this.token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      const answer = await this.fetch(`${this.url}/${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal: AbortSignal.timeout(this.timeoutMs),
      });
      const content = await this.parsed(answer);
      if (content === undefined) {
        return { ok: false, error: "invalid_answer", detail: `no JSON from ${this.url}`, status: answer.status };
      }
      if (answer.ok) return { ok: true, value: content as T };
      const problem = content as Partial<ProblemView>;
      const detail = problem.detail ?? `status ${answer.status}`;
      return { ok: false, error: problem.error ?? "invalid_answer", detail, status: answer.status };
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      if (name === "TimeoutError" || name === "AbortError") {
        return { ok: false, error: "timeout", detail: `no answer of ${this.url} within ${this.timeoutMs} ms` };
      }
      const reason = error instanceof Error ? error.message : String(error);
      return { ok: false, error: "network_error", detail: `${this.url}: ${reason}` };
    }
  }

  private async parsed(answer: Response): Promise<unknown> {
    const text = await answer.text();
    try {
      const content: unknown = JSON.parse(text);
      return typeof content === "object" && content !== null ? content : undefined;
    } catch {
      return undefined;
    }
  }
}

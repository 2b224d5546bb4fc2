// What the API says, as far as the pages read it (cluster_interface.wire and .model.proposal).

export type Sureness = "stated" | "known" | "likely" | "ask";

export interface Guess {
  field: string;
  value: string;
  rests_on: string;
  sure: Sureness;
}

export interface Option {
  name: string;
  positional: boolean;
  required: boolean;
  flag: boolean;
  default: string | null;
  choices: string[];
  help: string;
  kind: string;
  many: boolean;
  count: number;
  joined: boolean; // its value is part of the same word: --top=3
  repeat: boolean;
  aliases: string[];
  command: string;
  written: string;
}

export interface Environment {
  python?: { version?: string | null; packages?: string[]; requirements?: string | null } | null;
  system?: string[];
  base?: string | null;
  variables?: Record<string, string>;
}

export interface Proposal {
  script: string | null;
  name: string;
  command: string;
  environment: Environment;
  inputs: string[];
  outputs: string[];
  options: Option[];
  suggestions: string[];
  missing: { names: string[]; example: string } | null;
  resources: Resources;
  sweep: Sweep | null;
  dialect: string | null;
  checkpoint: Record<string, unknown> | null;
  left_out: { line: number; directive: string; why: string }[];
  guesses: Guess[];
  warnings: string[];
}

export interface Inspected {
  proposal: Proposal;
  queue: string;
  runtime: string;
}

export interface Sweep {
  parameters?: Record<string, (string | number | boolean)[]>;
  method?: "grid" | "zip";
  table?: string | null;
  files?: string | null;
  max_running?: number | null;
  first_alone?: boolean;
  pack?: number | null;
}

export interface Resources {
  cpus?: number;
  memory?: string | number;
  time?: string | number;
  queue?: string;
  [more: string]: unknown;
}

export interface Spec {
  apiVersion?: 1;
  name?: string;
  script?: string;
  command?: string;
  environment?: Environment;
  files?: Record<string, Record<string, unknown>>;
  outputs?: string[];
  resources?: Resources;
  sweep?: Sweep | null;
  dialect?: string;
  checkpoint?: Record<string, unknown>;
  after?: string[];
  network?: boolean;
}

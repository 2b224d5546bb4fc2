// The one entry point: what every page has, and what this page has besides.
import { prepareAccount } from "./account.ts";
import { listenForActions } from "./actions.ts";
import { keepLive } from "./live.ts";
import { showLog } from "./log.ts";
import { listenForPreviews } from "./outputs.ts";
import { preparePattern } from "./patternform.ts";
import { listenForSharing } from "./share.ts";
import { prepareForm } from "./submit.ts";
import { keepTimes } from "./times.ts";

keepTimes();
keepLive();

const job = document.querySelector<HTMLElement>("#live")?.dataset.job;
if (job) {
  listenForActions(job);
  listenForPreviews(job);
  listenForSharing(job);
  if (document.querySelector("#log")) showLog(job);
}
if (document.querySelector("#submit")) prepareForm();
if (document.querySelector("#pattern")) preparePattern();
if (document.querySelector("#credential")) prepareAccount();

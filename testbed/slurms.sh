#!/bin/sh
# What both Slurms of the testbed share: a controller and nodes that are all this machine. Sourced.
# Set before: cluster, letter and count (of its nodes), slurm (the directory), port (the controller's).
# shellcheck disable=SC2154
export SLURM_CONF="$slurm/slurm.conf"
host=$(hostname -s)
# Cgroups are called after nodes: those of a second testbed must not be called the same.
[ "$offset" = 0 ] || letter=$letter$offset-
nodes=$(seq -f "$letter%.0f" "$count" | paste -sd ' ')

directories() {
  mkdir -p "$slurm/state" "$slurm/run"
  chmod 755 "$home" "$slurm"
  chown -R slurm:slurm "$slurm/state" "$slurm/run"
}

# The lines that do not differ. Numbers are small so that tests are quick: no site would want these.
configuration() {
  cat <<END
ClusterName=$cluster
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=slurm
AuthType=auth/munge
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool.%n
TmpFS=$slurm/tmp.%n
SlurmctldPidFile=$slurm/run/slurmctld.pid
SlurmdPidFile=$slurm/run/slurmd.%n.pid
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
ReturnToService=2
MessageTimeout=10
KillWait=5
MaxJobCount=200000
MaxArraySize=100001
MinJobAge=300
MailProg=/bin/true
END
}

controller_answers() { scontrol ping 2>/dev/null | grep -q ' UP$'; }

# Every node is there, whatever it does.
nodes_answer() {
  states=$(sinfo --noheader --Node --format=%T 2>/dev/null) && [ -n "$states" ] &&
    ! echo "$states" | grep -qvxE 'idle|mixed|allocated|completing'
}

daemons_run() {
  runs "$cluster-slurmctld" || return 1
  for node in $nodes; do runs "$cluster-slurmd-$node" || return 1; done
}

slurm_up() { daemons_run && controller_answers && nodes_answer; }

# Start what does not run yet.
start_daemons() {
  runs "$cluster-slurmctld" || launch "$cluster-slurmctld" slurmctld -D -f "$SLURM_CONF"
  wait_for_daemon 20 "$cluster-slurmctld" controller_answers || die "its controller does not answer" "$log-$cluster-slurmctld.log"
  for node in $nodes; do
    mkdir -p "$slurm/spool.$node" "$slurm/tmp.$node" # where PMIx has its sockets: not two nodes in one place
    chmod 1777 "$slurm/tmp.$node"
    runs "$cluster-slurmd-$node" || launch "$cluster-slurmd-$node" slurmd -D -N "$node" -f "$SLURM_CONF"
  done
  wait_for 10 nodes_settle || :
  daemons_run || return 1
  if nodes_answer; then return; fi
  # What a crash may leave: nodes that are down or drained.
  scontrol update "NodeName=$(echo "$nodes" | tr ' ' ,)" State=RESUME 2>/dev/null || :
  wait_for 10 nodes_answer
}

nodes_settle() { ! daemons_run || nodes_answer; }

no_job_runs() { [ -z "$(squeue --noheader --states=R,CG 2>/dev/null)" ]; }

# What runs the jobs outlives the daemons, so that they can be started again with another configuration.
end_jobs() {
  if runs "$cluster-slurmctld" && controller_answers; then
    squeue --noheader --format=%A 2>/dev/null | sort -u | xargs -r scancel --quiet 2>/dev/null || :
    wait_for 10 no_job_runs || :
  fi
}

end_daemons() {
  for node in $nodes; do end "$cluster-slurmd-$node"; done
  end "$cluster-slurmctld"
}

slurm_stop() {
  end_jobs
  end_daemons
}

env_lines() { echo "export SLURM_CONF=$SLURM_CONF"; }

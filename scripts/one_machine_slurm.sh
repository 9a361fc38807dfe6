#!/bin/bash
# A Slurm cluster of this machine alone, for tests and for trying things out.
#
#   scripts/one_machine_slurm.sh start FOLDER [CORES]   start it; its settings, keys and logs: FOLDER
#   scripts/one_machine_slurm.sh stop FOLDER            end it
#   scripts/one_machine_slurm.sh install                install Debian's packages (root)
#
# While it runs:  export SLURM_CONF=FOLDER/slurm.conf; sinfo
#
# munge, slurmctld and slurmd run as this user (root is needed only to run jobs of other users), on
# 127.0.0.1 and free ports. Jobs are followed by process group, without cgroups, so that it also
# works in a container. Nothing outside FOLDER is written.
set -euo pipefail

say() { echo "one_machine_slurm: $*" >&2; }

install() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        say "installing needs root and apt; install slurmctld, slurmd, slurm-client and munge yourself"
        exit 3
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        slurmctld slurmd slurm-client munge
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
    local folder cores memory name
    for name in munged slurmctld slurmd sbatch; do
        command -v "$name" > /dev/null || { say "$name is missing; try: $0 install"; exit 3; }
    done
    mkdir -p "$1"
    folder=$(cd "$1" && pwd)
    chmod 700 "$folder"
    mkdir -p "$folder/state" "$folder/spool"
    cores=${2:-$(nproc)}
    memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    head -c 1024 /dev/urandom > "$folder/munge.key"
    chmod 400 "$folder/munge.key"
    cat > "$folder/slurm.conf" << CONF
ClusterName=one
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=10
CredType=cred/munge
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,batch_sched_delay=0
KillWait=2
MinJobAge=60
NodeName=localhost NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF="$folder/slurm.conf"
    munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
        --seed-file="$folder/munge.seed"
    slurmctld
    slurmd -N localhost
    for _ in $(seq 60); do
        if sinfo -h -o %T 2> /dev/null | grep -q idle; then
            say "up, with $cores cores: export SLURM_CONF=$folder/slurm.conf"
            return
        fi
        sleep 0.5
    done
    say "the node did not come up within 30 s; the end of its logs:"
    tail -n 5 "$folder"/*.log >&2
    stop "$folder"
    exit 4
}

stop() {
    local name pid
    for name in slurmd slurmctld munged; do
        pid=$(cat "$1/$name.pid" 2> /dev/null || true)
        [ -n "$pid" ] || continue
        kill "$pid" 2> /dev/null || true
        for _ in $(seq 50); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2> /dev/null || true
    done
}

case "${1:-}" in
    install) install ;;
    start) start "${2:?give a folder}" "${3:-}" ;;
    stop) stop "${2:?give the folder of start}" ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

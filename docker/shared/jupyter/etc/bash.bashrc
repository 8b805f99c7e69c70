# For interactive shells. The user's number may have no name here, so the prompt does not ask for one.
[ -z "$PS1" ] && return
PS1='\[\e[36m\]${LABCTL_LAB:-lab}\[\e[0m\]:\w\$ '
shopt -s checkwinsize
HISTFILE=$HOME/.bash_history
alias ls='ls --color=auto' ll='ls -l'
